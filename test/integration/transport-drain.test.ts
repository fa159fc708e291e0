import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { createReinsClient, errorReason, type ReinsClientOptions } from "../../src/client/index.ts";
import { lines, startTestServer, type TestServer } from "../support/net-server.ts";

/** Longer than any of these tests may take: a drain that ends in time did not wait for it. */
const longMs = 60_000;
const threadId = randomUUID();
describe.each(lines)("over %s", (line) => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ line, limits: { sniffTimeoutMs: longMs } });
  });
  afterEach(() => server.stop());

  /** Starts a run and reads its stream to the end; resolves when the server has begun it. */
  async function begin(assistantId: string, options: Partial<ReinsClientOptions> = {}) {
    const runId = randomUUID();
    const { runs } = createReinsClient({ baseUrl: server.url, ...options });
    const reading = (async () => {
      const cases: (string | undefined)[] = [];
      for await (const { events } of runs.streamRun({ create: { threadId, runId, spec: { assistantId } } })) {
        cases.push(...events.map((event) => event.event.case));
      }
      return cases;
    })();
    reading.catch(() => {});
    await server.services.reached(runId, "begun");
    return { runId, reading };
  }

  const protocols: Partial<ReinsClientOptions>[] = [
    { protocol: "grpc" },
    { protocol: "connect" },
    { protocol: "connect", httpVersion: "1.1" },
    { protocol: "grpc-web", httpVersion: "1.1" },
  ];

  describe.each(protocols)("a drain with a stream in flight over $protocol $httpVersion", (options) => {
    test("lets it finish whole, and ends with it", async () => {
      const { reading } = await begin("held", options);
      const drained = server.server.drain(longMs);
      server.services.release();
      expect(await reading).toEqual(["created", "ended"]);
      await drained;
    });

    test("ends it as UNAVAILABLE when the grace is over; nobody takes that for a client that left", async () => {
      const { runId, reading } = await begin("endless", options);
      await server.server.drain(0);
      const error = ConnectError.from(await reading.catch((error) => error));
      expect(error.code).toBe(Code.Unavailable);
      expect(errorReason(error)).toBe("SHUTTING_DOWN");
      expect(await server.services.reached(runId, "settled")).toMatchObject({ gone: false });
    });
  });

  test("a drain cuts off a reader that does not read, which is no client that left", async () => {
    const runId = randomUUID();
    const { runs } = createReinsClient({ baseUrl: server.url });
    const stream = runs
      .streamRun({ create: { threadId, runId, spec: { assistantId: "flood" } } })
      [Symbol.asyncIterator]();
    await stream.next();
    await server.server.drain(0);
    expect(await server.services.reached(runId, "settled")).toMatchObject({ gone: false });
  });

  test("new calls are refused while a drain waits", async () => {
    const { reading } = await begin("held");
    const drained = server.server.drain(longMs);
    const error: unknown = await createReinsClient({ baseUrl: server.url })
      .threads.createThread({})
      .catch((error) => error);
    expect(ConnectError.from(error).code).toBe(Code.Unavailable);
    server.services.release();
    await reading;
    await drained;
  });

  test("an HTTP/1.1 connection in use takes no new call, and is closed after its answers", async () => {
    const request = (runId: string) => {
      const body = JSON.stringify({ create: { threadId, runId, spec: { assistantId: "held" } } });
      return (
        `POST /reins.v1.RunService/WaitRun HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`
      );
    };
    const [first, second] = [randomUUID(), randomUUID()];
    const socket = await server.connect();
    socket.write(request(first));
    await server.services.reached(first, "begun");
    const drained = server.server.drain(longMs);
    socket.write(request(second));
    const refused = () => server.logged.some((line) => line.msg === "call" && line.code === "unavailable");
    await expect.poll(refused, { timeout: 20_000 }).toBe(true);
    server.services.release();
    const [, answer, refusal] = (await text(socket)).split("HTTP/1.1 ");
    expect(answer).toMatch(/^200 OK/);
    expect(answer).toContain(first);
    expect(refusal).toMatch(/^503 Service Unavailable/);
    expect(refusal).toContain("SHUTTING_DOWN");
    expect(server.services.watches.has(second)).toBe(false);
    await drained;
  });

  test("idle and silent connections do not hold a drain up", { timeout: longMs / 2 }, async () => {
    const idleHttp2 = http2.connect(server.url);
    await once(idleHttp2, "remoteSettings");
    const silent = [await server.connect(), net.connect(server.port, "127.0.0.1")];
    await once(silent[1]!, "connect");
    expect((await fetch(`${server.url}/idle-http1`)).status).toBe(404);
    await server.server.drain(longMs);
    if (!idleHttp2.destroyed) {
      await once(idleHttp2, "close");
    }
    for (const socket of silent) socket.destroy();
  });

  test("health turns to not serving, and its watchers are let go", async () => {
    const health = createClient(Health, createGrpcTransport({ baseUrl: server.url }));
    const watching = health.watch({})[Symbol.asyncIterator]();
    expect((await watching.next()).value).toMatchObject({ status: Status.SERVING });
    server.server.health.set(false);
    expect((await watching.next()).value).toMatchObject({ status: Status.NOT_SERVING });
    server.server.health.set(true);
    expect((await watching.next()).value).toMatchObject({ status: Status.SERVING });
    const drained = server.server.drain(longMs);
    expect((await watching.next()).value).toMatchObject({ status: Status.NOT_SERVING });
    await expect(watching.next()).rejects.toMatchObject({ code: Code.Unavailable });
    await drained;
  });

  test("after a drain nothing listens, and closing again is no error", async () => {
    await server.server.drain(0);
    await server.server.close();
    await server.server.drain(0);
    await expect(fetch(server.url)).rejects.toThrow();
  });
});
