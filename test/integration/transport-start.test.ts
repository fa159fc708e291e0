import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { createReinsClient, createReinsClientOn, errorReason, RunService, until } from "../../src/client/index.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

/** From the moment when the port is taken until the services are there. */
describe("a server that is starting", () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ isStarting: true });
  });
  afterEach(() => server.stop());

  const transports: [string, () => Transport][] = [
    ["gRPC", () => createGrpcTransport({ baseUrl: server.url })],
    ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" })],
    ["Connect", () => createConnectTransport({ baseUrl: server.url, httpVersion: "2" })],
    [
      "Connect over HTTP/1.1 with JSON",
      () => createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false }),
    ],
  ];
  it.each(transports)("tells callers over %s to come back", async (_, open) => {
    const { runs, threads } = createReinsClientOn(open());
    const create = { threadId: crypto.randomUUID(), spec: { assistantId: "quick" } };
    const first = async () => {
      for await (const event of until((signal) => runs.streamRun({ create }, { signal }))) return event;
      return undefined;
    };
    for (const call of [() => threads.createThread({}), () => runs.waitRun({ create }), first]) {
      const error = await call().catch((thrown) => thrown);
      expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: expect.stringContaining("is starting") });
      expect(errorReason(error)).toBe("STARTING");
    }
  });

  it.each([
    ["GET", "/"],
    ["GET", "/ok"],
    ["GET", "/readyz"],
    ["POST", "/livez"],
    ["GET", "/nowhere"],
    ["POST", "/threads"],
    ["DELETE", `/threads/${crypto.randomUUID()}`],
  ])("answers %s %s with 503, a sentence, and when to come back", async (method, path) => {
    const body = method === "POST" ? JSON.stringify({ metadata: { text: "x".repeat(100_000) } }) : undefined;
    const answer = await fetch(`${server.url}${path}`, { method, body });
    expect({ status: answer.status, retry: answer.headers.get("retry-after") }).toEqual({ status: 503, retry: "1" });
    expect(await answer.json()).toEqual({ detail: expect.stringMatching(/^The server is starting, .*\.$/) });
  });

  it("says that it is alive", async () => {
    const answer = await fetch(`${server.url}/livez?verbose`);
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true }]);
  });

  it("still refuses pages and hosts that may not call", async () => {
    const answer = await fetch(`${server.url}/ok`, { headers: { origin: "https://evil.example" } });
    expect(answer.status).toBe(403);
  });

  it("is not healthy, tells its watchers when it is, and then serves on the same connection", async () => {
    const transport = createGrpcTransport({ baseUrl: server.url });
    const health = createClient(Health, transport);
    for (const service of ["", RunService.typeName]) {
      expect(await health.check({ service })).toMatchObject({ status: Status.NOT_SERVING });
    }
    const seen: Status[] = [];
    for await (const { status } of until((signal) => health.watch({}, { signal }))) {
      seen.push(status);
      if (status === Status.SERVING) break;
      server.serve();
    }
    expect(seen).toEqual([Status.NOT_SERVING, Status.SERVING]);
    expect(await createReinsClientOn(transport).threads.createThread({})).toMatchObject({ thread: {} });
    expect(await createReinsClient({ baseUrl: server.url }).threads.createThread({})).toMatchObject({ thread: {} });
  });
});
