import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { text } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunService, StreamRunRequestSchema } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { createReinsClient } from "../../src/client/index.ts";
import { until } from "../support/gates.ts";
import { lines, startTestServer, type TestServer } from "../support/net-server.ts";
import { rapidReset } from "../support/rapid-reset.ts";

/** ENHANCE_YOUR_CALM (RFC 9113, section 7). */
const calm = 0xb;
const path = "/reins.v1.ThreadService/CreateThread";

describe.each(lines)("over %s", (line) => {
  const { get, request } = line === "TLS" ? https : http;
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ line });
  });
  afterAll(() => server.stop());

  describe("a client that resets its calls", () => {
    const stream = "/reins.v1.RunService/StreamRun";
    const run = (assistantId: string) =>
      encodeEnvelope(
        0,
        toBinary(
          StreamRunRequestSchema,
          create(StreamRunRequestSchema, { create: { threadId: randomUUID(), spec: { assistantId } } }),
        ),
      );

    test("has nothing made of calls that it resets as it begins them", async () => {
      // So few that they come in one piece.
      const outcome = await rapidReset({ server, calls: 30, path: stream, body: run("endless") });
      expect(outcome).toMatchObject({ goaway: undefined, isOpen: true });
      await createReinsClient({ baseUrl: server.url }).threads.createThread({});
      expect(server.logged.map(({ method }) => method)).not.toContain("reins.v1.RunService/StreamRun");
    });

    test("keeps its connection after a thousand live ones", async () => {
      const before = server.services.watches.size;
      const live = () => until(async () => server.services.watches.size === before + 1_000);
      const outcome = await rapidReset({ server, calls: 1_000, path: stream, body: run("endless"), live });
      expect(outcome).toMatchObject({ sent: 1_000, goaway: undefined, isOpen: true });
      await until(async () => [...server.services.watches.values()].every((watch) => watch.gone && watch.settled));
    });

    test.each([
      ["that were only begun", undefined],
      ["that were sent whole", run("endless")],
    ])("loses its connection after too many within a second, and others are served meanwhile: %s", async (_, body) => {
      const others = createReinsClient({ baseUrl: server.url });
      const attack = rapidReset({ server, calls: 10_000, path: stream, body });
      const served = await Promise.all(Array.from({ length: 20 }, () => others.threads.createThread({})));
      expect(served.map(({ thread }) => thread?.threadId)).not.toContain(undefined);
      expect(await attack).toMatchObject({ goaway: calm, isOpen: false });
      const told = server.logged.filter(
        ({ level, msg }) => level === 40 && String(msg).startsWith("a client resets its calls"),
      );
      expect(told.length).toBeGreaterThan(0);
    });

    test("is no error to the log", () => {
      expect(server.logged.filter(({ level }) => (level as number) >= 50)).toEqual([]);
    });
  });

  test("an ABORTED that comes from a handler stays one", async () => {
    const own = await startTestServer({ line, mapError: () => undefined, isStarting: true });
    const createThread = () => {
      throw new ConnectError("in the way", Code.Aborted);
    };
    own.server.serve({ routes: (router) => router.service(ThreadService, { createThread }) });
    const call = createReinsClient({ baseUrl: own.url }).threads.createThread({});
    await expect(call).rejects.toMatchObject({ code: Code.Aborted, rawMessage: "in the way" });
    await own.stop();
  });

  describe("a client that takes its time", () => {
    let strict: TestServer;
    let released = () => {};
    const release = new Promise<void>((resolve) => {
      released = resolve;
    });
    beforeAll(async () => {
      strict = await startTestServer({
        line,
        fallback: {
          answer(_, response) {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(": begun\n\n");
            release.then(() => response.end("event: end\n\n"));
          },
          find: () => undefined,
        },
        patience: { headTimeoutMs: 300, bodyTimeoutMs: 600, idleTimeoutMs: 500 },
        limits: { sniffTimeoutMs: 300, maxConnections: 20 },
      });
    });
    afterAll(() => strict.stop());

    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;

    test.each([
      ["says nothing", ""],
      ["leaves a request's head unfinished", head],
      ["leaves a request's body unfinished", `${head}content-length: 10\r\n\r\n{`],
      ["keeps an answered connection without another request", `${head}content-length: 2\r\n\r\n{}`],
      ["leaves the preface of HTTP/2 unfinished", "PRI * HTTP/2.0\r\n"],
      ["begins HTTP/2 and asks for nothing", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
      // HEADERS of stream 1 without END_HEADERS.
      [
        "leaves the head of a call unfinished",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x83",
      ],
    ])("is cut off when it %s", async (_, bytes) => {
      const socket = await strict.connect(bytes.startsWith("PRI") ? "h2" : "http/1.1");
      socket.on("error", () => {});
      const closed = once(socket, "close");
      socket.resume().write(Buffer.from(bytes, "latin1"));
      await closed;
    });

    /** Opened now, it is closed when a connection may no longer be idle. */
    async function idleTimePasses(server: TestServer): Promise<void> {
      const socket = (await server.connect("h2")).on("error", () => {});
      socket.resume().write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1"));
      await once(socket, "close");
    }

    test("has a call of HTTP/2 reset whose body does not end, and no stream of answers cut off", async () => {
      const held = { create: { threadId: randomUUID(), spec: { assistantId: "held" } } };
      const http1 = createClient(RunService, createConnectTransport({ baseUrl: strict.url, httpVersion: "1.1" }));
      const rpcs = [createReinsClient({ baseUrl: strict.url }).runs, http1].map((runs) =>
        runs.streamRun(held)[Symbol.asyncIterator](),
      );
      for (const events of rpcs) await events.next();

      const session = http2.connect(strict.url);
      const post = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
      const overHttp1 = get(`${strict.url}/sse`);
      const [answer] = (await once(overHttp1, "response")) as [http.IncomingMessage];
      const overHttp2 = session.request({ ":path": "/sse" });
      // Some clients end what has no body by an empty DATA frame, and nobody reads it.
      const endedLater = session.request({ ":path": "/sse" }, { endStream: false });
      endedLater.end();
      const sse = [answer, overHttp2, endedLater];
      for (const stream of sse) expect(String((await once(stream, "data"))[0])).toBe(": begun\n\n");

      const talk = session.request({
        ...post,
        ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      });
      talk.resume().write(encodeEnvelope(0, new Uint8Array()));

      const slow = session.request(post).on("error", () => {});
      slow.resume().write("\0");
      await Promise.all([new Promise((resolve) => slow.once("close", resolve)), idleTimePasses(strict)]);
      expect(slow.rstCode).toBe(calm);
      expect(talk.closed).toBe(false);

      const ends = sse.map((stream) => text(stream));
      strict.services.release();
      released();
      expect(await Promise.all(ends)).toEqual(sse.map(() => "event: end\n\n"));
      expect(await Promise.all(rpcs.map(async (events) => (await events.next()).value))).toMatchObject(
        rpcs.map(() => ({ events: [{ event: { case: "ended" } }] })),
      );
      session.destroy();
    });

    test("may send a body in pieces for longer than a connection may be idle", async () => {
      const patient = await startTestServer({
        line,
        patience: { headTimeoutMs: 200, bodyTimeoutMs: 600_000, idleTimeoutMs: 200 },
      });
      const session = http2.connect(patient.url);
      const json = { "content-type": "application/json" };
      const overHttp1 = request(`${patient.url}${path}`, { method: "POST", headers: json });
      const overHttp2 = session.request({ ":method": "POST", ":path": path, ...json });
      const statuses = [
        once(overHttp1, "response").then(([response]) => response.statusCode),
        once(overHttp2, "response").then(([headers]) => headers[":status"]),
      ];
      for (const piece of ["{", '"metadata"', ":{}"]) {
        for (const upload of [overHttp1, overHttp2]) upload.write(piece);
        await idleTimePasses(patient);
      }
      for (const upload of [overHttp1, overHttp2]) upload.end("}");
      expect(await Promise.all(statuses)).toEqual([200, 200]);
      session.destroy();
      await patient.stop();
    });

    test("meets a limit of connections, which is told once", async () => {
      const sockets = Array.from({ length: 60 }, () => net.connect(strict.port, "127.0.0.1").on("error", () => {}));
      await Promise.all(sockets.map((socket) => once(socket, "close")));
      const told = strict.logged.filter(({ msg }) => String(msg).includes("REINS_MAX_CONNECTIONS"));
      expect(told).toHaveLength(1);
      const answer = await fetch(`${strict.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      expect(answer.status).toBe(200);
    });
  });
});
