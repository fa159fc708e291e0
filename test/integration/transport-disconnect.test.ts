import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGrpcJsClient, createReinsClient, type ReinsClient, RunService, until } from "../../src/client/index.ts";
import { createReinsWebClient } from "../../src/client/web.ts";
import { startFreezableProxy } from "../support/net-freezable-proxy.ts";
import { lines, startTestServer, type TestServer } from "../support/net-server.ts";

const threadId = randomUUID();
const create = (runId: string, assistantId: string) => ({ create: { threadId, runId, spec: { assistantId } } });

interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}
interface Runs {
  waitRun(request: ReturnType<typeof create>, options?: CallOptions): Promise<unknown>;
  streamRun(request: ReturnType<typeof create>, options?: CallOptions): AsyncIterable<unknown>;
  close?(): void;
}

describe.each(lines)("over %s", (line) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ line });
  });
  afterAll(() => server.stop());

  const clients: Record<string, (url: string) => Runs> = {
    "grpc-js": () => createGrpcJsClient(RunService, server.grpc.address, server.grpc.credentials()),
    "connect-node gRPC": (baseUrl) => createReinsClient({ baseUrl }).runs,
    "connect-node Connect over HTTP/2": (baseUrl) => createReinsClient({ baseUrl, protocol: "connect" }).runs,
    "connect-node Connect over HTTP/1.1": (baseUrl) =>
      createReinsClient({ baseUrl, protocol: "connect", httpVersion: "1.1" }).runs,
    "connect-node gRPC-Web over HTTP/2": (baseUrl) => createReinsClient({ baseUrl, protocol: "grpc-web" }).runs,
    "connect-node gRPC-Web over HTTP/1.1": (baseUrl) =>
      createReinsClient({ baseUrl, protocol: "grpc-web", httpVersion: "1.1" }).runs,
    "connect-web Connect": (baseUrl) => createReinsWebClient({ baseUrl }).runs,
    "connect-web gRPC-Web": (baseUrl) => createReinsWebClient({ baseUrl, protocol: "grpc-web" }).runs,
  };

  describe.each(Object.entries(clients))("%s", (_, connect) => {
    let runs: Runs;
    beforeAll(() => {
      runs = connect(server.url);
    });
    afterAll(() => runs.close?.());

    test("an aborted stream is a client that is gone", async () => {
      const runId = randomUUID();
      const abort = new AbortController();
      const reading = (async () => {
        for await (const _ of runs.streamRun(create(runId, "endless"), { signal: abort.signal })) {
          abort.abort();
        }
      })();
      await expect(reading).rejects.toThrow();
      await server.services.reached(runId, "gone");
      await server.services.reached(runId, "settled");
    });

    test("an aborted unary call is a client that is gone", async () => {
      const runId = randomUUID();
      const abort = new AbortController();
      const waiting = runs.waitRun(create(runId, "endless"), { signal: abort.signal });
      waiting.catch(() => {});
      await server.services.reached(runId, "begun");
      abort.abort();
      await expect(waiting).rejects.toThrow();
      await server.services.reached(runId, "gone");
    });

    test("leaving the loop is a client that is gone", async () => {
      const runId = randomUUID();
      for await (const _ of until((signal) => runs.streamRun(create(runId, "flood"), { signal }))) {
        break;
      }
      await server.services.reached(runId, "gone");
      await server.services.reached(runId, "settled");
    });

    test("a deadline is not a client that is gone", async () => {
      const [streamed, waited] = [randomUUID(), randomUUID()];
      const reading = (async () => {
        for await (const _ of runs.streamRun(create(streamed, "endless"), { timeoutMs: 300 })) {
          // Nothing comes after the first event.
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: 4 });
      await expect(runs.waitRun(create(waited, "endless"), { timeoutMs: 300 })).rejects.toMatchObject({ code: 4 });
      expect(await server.services.reached(streamed, "settled")).toMatchObject({ gone: false });
      expect(await server.services.reached(waited, "settled")).toMatchObject({ gone: false });
    });

    test("normal completion is not a client that is gone", async () => {
      const [streamed, waited] = [randomUUID(), randomUUID()];
      let events = 0;
      for await (const _ of runs.streamRun(create(streamed, "quick"))) {
        events++;
      }
      expect(events).toBe(2);
      await runs.waitRun(create(waited, "quick"));
      expect(await server.services.reached(streamed, "settled")).toMatchObject({ gone: false });
      expect(await server.services.reached(waited, "settled")).toMatchObject({ gone: false });
      // The signals of completed calls have aborted by the time that another call has been answered.
      await runs.waitRun(create(randomUUID(), "quick"));
      expect(server.services.watches.get(streamed)?.gone).toBe(false);
      expect(server.services.watches.get(waited)?.gone).toBe(false);
    });
  });

  test("the log tells a client that left from a deadline", async () => {
    const { runs } = createReinsClient({ baseUrl: server.url });
    const call = async (requestId: string, options: CallOptions) => {
      const headers = { "x-request-id": requestId };
      await runs.waitRun(create(randomUUID(), "endless"), { ...options, headers }).catch(() => {});
      const line = () => server.logged.find((line) => line.msg === "call" && line.requestId === requestId);
      await expect.poll(line, { timeout: 20_000 }).toBeDefined();
      return line()?.code;
    };
    expect(await call("leaves", { signal: AbortSignal.timeout(100) })).toBe("canceled");
    expect(await call("deadline", { timeoutMs: 100 })).toBe("deadline_exceeded");
  });

  describe.each(["grpc-js", "connect-2", "connect-1.1"])("a killed process with %s", (library) => {
    test.each(["stream", "unary"])("is a client that is gone (%s)", async (kind) => {
      const runId = randomUUID();
      const script = fileURLToPath(new URL("../support/net-client-process.ts", import.meta.url));
      const client = spawn(process.execPath, [script, library, server.url, kind, runId], {
        stdio: "inherit",
        env: { ...process.env, ...server.clientEnvironment },
      });
      try {
        expect(await server.services.reached(runId, "begun")).toMatchObject({ gone: false });
      } finally {
        client.kill("SIGKILL");
        await once(client, "exit");
      }
      await server.services.reached(runId, "gone");
      await server.services.reached(runId, "settled");
    });
  });

  describe("a client that vanishes without a word", () => {
    const open = (client: ReinsClient, runId: string, assistantId: string, signal: AbortSignal) => {
      const reading = (async () => {
        for await (const _ of client.runs.streamRun(create(runId, assistantId), { signal })) {
          // Reads as long as the line holds.
        }
      })();
      reading.catch(() => {});
      return reading;
    };

    test.each(["endless", "flood"])("is noticed over HTTP/2 by ping (%s stream)", async (assistantId) => {
      const own = await startTestServer({ line, keepAlive: { pingIntervalMs: 200, pingTimeoutMs: 300 } });
      const proxy = await startFreezableProxy(own.port, new URL(own.url).protocol);
      const [runId, abort] = [randomUUID(), new AbortController()];
      try {
        const reading = open(createReinsClient({ baseUrl: proxy.url }), runId, assistantId, abort.signal);
        await own.services.reached(runId, "begun");
        proxy.freeze();
        await own.services.reached(runId, "gone");
        await own.services.reached(runId, "settled");
        abort.abort();
        await expect(reading).rejects.toThrow();
      } finally {
        await proxy.stop();
        await own.stop();
      }
    });

    test("is told from one that is only silent", async () => {
      const own = await startTestServer({ line, keepAlive: { pingIntervalMs: 50, pingTimeoutMs: 200 } });
      const runId = randomUUID();
      const session = http2.connect(own.url);
      try {
        const stream = session.request({
          ":method": "POST",
          ":path": "/reins.v1.RunService/StreamRun",
          "content-type": "application/connect+json",
        });
        stream.end(encodeEnvelope(0, new TextEncoder().encode(JSON.stringify(create(runId, "held")))));
        let pings = 0;
        session.on("ping", () => pings++);
        // By then the first ping's timeout is long over.
        await expect.poll(() => pings, { timeout: 20_000 }).toBeGreaterThan(15);
        own.services.release();
        await text(stream);
        expect(await own.services.reached(runId, "settled")).toMatchObject({ gone: false });
      } finally {
        session.destroy();
        await own.stop();
      }
    });
  });
});
