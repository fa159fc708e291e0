import { createGrpcJsClient, createReinsClient, RunService } from "../../src/client/index.ts";
import { perform, type WatchingCall } from "./leavers.ts";

// A client of its own process, to be killed: node leaver-process.ts <library> <url> <call> <request as JSON>
const [library, url, call, request] = process.argv.slice(2) as [string, string, WatchingCall, string];
const runs =
  library === "grpc-js"
    ? createGrpcJsClient(RunService, new URL(url).host)
    : createReinsClient({ baseUrl: url, protocol: "connect", httpVersion: "1.1" }).runs;
await perform(runs as never, call, JSON.parse(request), new AbortController().signal);
