import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReinsClient, fromPayload, until } from "../../src/client/index.ts";
import { lines, startTestServer, type TestServer } from "../support/net-server.ts";

describe.each(lines)("over %s", (line) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      line,
      limits: { sniffTimeoutMs: 300 },
      fallback: {
        answer(request, response) {
          response.writeHead(200, { "content-type": "text/plain" });
          request.setEncoding("utf8");
          let body = "";
          request.on("data", (chunk) => {
            body += chunk;
          });
          request.on("end", () =>
            response.end(`${request.method} ${request.url} HTTP/${request.httpVersion} ${body.length}`),
          );
        },
        find: () => undefined,
      },
    });
  });
  afterAll(() => server.stop());

  /** Writes byte by byte, each in its own packet as far as the kernel allows, and answers all that comes back. */
  async function dribble(bytes: Buffer): Promise<string> {
    const socket = (await server.connect()).setNoDelay();
    const answer = text(socket);
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await nextTurn();
    }
    return await answer;
  }

  const http1 = (method: string, path: string, body = "", type = "text/plain") =>
    Buffer.from(
      `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n` +
        `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );

  describe("HTTP/1.1", () => {
    // The first bytes of some of these are also those of HTTP/2.
    test.each(["GET", "POST", "PUT", "PATCH", "PROPFIND", "DELETE"])("%s byte by byte", async (method) => {
      const answer = await dribble(http1(method, "/some/where", "body"));
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(answer).toContain(`${method} /some/where HTTP/1.1 4`);
    });

    test("a Connect call byte by byte", async () => {
      const body = JSON.stringify({ threadId: randomUUID() });
      const answer = await dribble(http1("POST", "/reins.v1.ThreadService/CreateThread", body, "application/json"));
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(answer).toContain(body.slice(1, -1));
    });

    test("several requests in one packet", async () => {
      const socket = await server.connect();
      const first = `GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(first), http1("GET", "/second")]));
      const answer = await text(socket);
      expect(answer).toContain("GET /first HTTP/1.1 0");
      expect(answer).toContain("GET /second HTTP/1.1 0");
    });

    test("a body of 3 MB", async () => {
      const answer = await fetch(`${server.url}/upload`, { method: "POST", body: "x".repeat(3_000_000) });
      expect(await answer.text()).toBe("POST /upload HTTP/1.1 3000000");
    });
  });

  test("HTTP/2 byte by byte", async () => {
    const slow = net.createServer((client) => {
      const target = net.connect(server.port, "127.0.0.1").setNoDelay();
      target.pipe(client);
      const forward = async () => {
        for await (const chunk of client) {
          for (const byte of chunk) {
            target.write(Buffer.of(byte));
            await nextTurn();
          }
        }
      };
      forward().catch(() => target.destroy());
    });
    slow.listen(0, "127.0.0.1");
    await once(slow, "listening");
    const session = http2.connect(
      `${new URL(server.url).protocol}//127.0.0.1:${(slow.address() as net.AddressInfo).port}`,
    );
    try {
      expect(await text(session.request({ ":path": "/some/where" }).end())).toBe("GET /some/where HTTP/2.0 0");
    } finally {
      session.destroy();
      slow.close();
      await once(slow, "close");
    }
  });

  describe("what is neither", () => {
    test.each([
      ["a TLS hello", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])],
      ["rubbish", Buffer.from("\0\0rubbish\r\n\r\n")],
      ["almost the HTTP/2 preface", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
    ])("%s is refused", async (_, bytes) => {
      const socket = await server.connect();
      socket.write(bytes);
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 Bad Request/);
    });

    test.each([
      ["silence", ""],
      ["half a preface", "PRI * HT"],
    ])("%s is dropped after a while", async (_, bytes) => {
      const socket = await server.connect();
      socket.write(bytes);
      expect(await text(socket)).toBe("");
    });

    test("a client that leaves at once does no harm", async () => {
      const socket = net.connect(server.port, "127.0.0.1");
      await once(socket, "connect");
      socket.resetAndDestroy();
      expect((await fetch(`${server.url}/still`)).status).toBe(200);
    });
  });

  test("a client that resets 1,500 streams keeps its connection and its other streams", async () => {
    const runId = randomUUID();
    const session = http2.connect(server.url);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    session.on("error", reject);
    session.on("goaway", (code) => reject(new Error(`The server has ended the connection with code ${code}.`)));
    const headers = {
      ":method": "POST",
      ":path": "/reins.v1.RunService/StreamRun",
      "content-type": "application/connect+json",
    };
    const body = Buffer.from(
      JSON.stringify({ create: { threadId: randomUUID(), runId, spec: { assistantId: "held" } } }),
    );
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
    try {
      const kept = session.request(headers);
      kept.end(envelope);
      await server.services.reached(runId, "begun");
      for (let i = 0; i < 1500; i++) {
        const stream = session.request(headers);
        stream.on("error", () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      // Whatever the server thinks of the resets, it has read them all once it answers this.
      session.ping(() => resolve());
      await promise;
      server.services.release();
      expect(await text(kept)).toContain("ended");
      expect(session.destroyed).toBe(false);
    } finally {
      session.destroy();
    }
  });

  test("streams that are reset with any code do no harm", async () => {
    const session = http2.connect(server.url);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    session.on("error", reject);
    for (const path of ["/some/where", "/no.Service/Foo", "/reins.v1.ThreadService/CreateThread"]) {
      for (let code = 0; code <= http2.constants.NGHTTP2_HTTP_1_1_REQUIRED; code++) {
        const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
        stream.on("error", () => {});
        stream.write("a part");
        stream.close(code);
      }
    }
    session.ping(() => resolve());
    await promise;
    session.destroy();
    expect((await fetch(`${server.url}/still`)).status).toBe(200);
  });

  test.runIf(process.platform === "linux")("the kernel probes every connection that is silent", async () => {
    const session = http2.connect(server.url);
    await once(session, "remoteSettings");
    const socket = await server.connect();
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(socket, "data");
    const hex = (port = 0) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    for (const client of [socket.localPort, session.socket.localPort]) {
      // proc(5): the sixth column begins with the timer that is active; 2 stands for keepalive.
      const timer = async () =>
        (await readFile("/proc/net/tcp", "utf8"))
          .split("\n")
          .find((line) => line.includes(`${hex(server.port)} ${hex(client)}`))
          ?.trim()
          .split(/\s+/)[5]
          ?.slice(0, 2);
      await expect.poll(timer, { timeout: 5000 }).toBe("02");
    }
    socket.destroy();
    session.destroy();
  });

  test("a slow reader does not hold up the other streams of its connection", async () => {
    const client = createReinsClient({ baseUrl: server.url });
    const create = { threadId: randomUUID(), spec: { assistantId: "flood" } };
    const slow = until((signal) => client.runs.streamRun({ create }, { signal }));
    await slow.next();
    const threadId = randomUUID();
    expect((await client.threads.createThread({ threadId })).thread?.threadId).toBe(threadId);
    await slow.return();
  });

  test("responses are not compressed, whatever the client accepts", async () => {
    const client = createReinsClient({ baseUrl: server.url });
    const create = { threadId: randomUUID(), spec: { assistantId: "big" } };
    let encoding: string | null = "";
    const data: unknown[] = [];
    const call = client.runs.streamRun(
      { create },
      { onHeader: (headers) => (encoding = headers.get("grpc-encoding")) },
    );
    for await (const { events } of call) {
      for (const { event } of events) {
        data.push(event.case === "output" ? fromPayload(event.value.data) : event.case);
      }
    }
    expect(data).toEqual(["created", "x".repeat(100_000), "ended"]);
    expect(encoding).toBeNull();
  });
});
