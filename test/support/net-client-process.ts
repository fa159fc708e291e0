import { createGrpcJsClient, createReinsClient, RunService } from "../../src/client/index.ts";

// A client of its own process, to be killed: node net-client-process.ts <library> <port> <stream|unary> <run id>
const [library, port, kind, runId] = process.argv.slice(2);
const request = {
  create: { threadId: "11111111-1111-4111-8111-111111111111", runId: runId!, spec: { assistantId: "endless" } },
};
const baseUrl = `http://127.0.0.1:${port}`;
const runs =
  library === "grpc-js"
    ? createGrpcJsClient(RunService, `127.0.0.1:${port}`)
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
