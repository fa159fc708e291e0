import { credentials } from "@grpc/grpc-js";
import { createGrpcJsClient, createReinsClient, RunService } from "../../src/client/index.ts";

// A client of its own process, to be killed: node net-client-process.ts <library> <url> <stream|unary> <run id>
const [library, baseUrl = "", kind, runId] = process.argv.slice(2);
const request = {
  create: { threadId: "11111111-1111-4111-8111-111111111111", runId: runId!, spec: { assistantId: "endless" } },
};
const { host, protocol } = new URL(baseUrl);
const runs =
  library === "grpc-js"
    ? createGrpcJsClient(RunService, host, protocol === "https:" ? credentials.createSsl() : undefined)
    : library === "connect-1.1"
      ? createReinsClient({ baseUrl, protocol: "connect", httpVersion: "1.1" }).runs
      : createReinsClient({ baseUrl }).runs;

if (kind === "unary") {
  await runs.waitRun(request);
} else {
  for await (const _ of runs.streamRun(request)) {
    // Endless.
  }
}
