import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { promisify } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createGrpcJsClient,
  createReinsClient,
  type ReinsClientOptions,
  RunService,
  ThreadService,
} from "../../src/client/index.ts";
import { openTls, type Tls } from "../../src/server/tls-files.ts";
import { capabilities } from "../support/capabilities.ts";
import {
  type Authority,
  createAuthority,
  createTlsFolder,
  localNames,
  type TlsFolder,
} from "../support/certificates.ts";
import { silentLog } from "../support/engine.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

/** Trusted by none but those who are told. */
let authority: Authority;
let folder: TlsFolder;
let own: Tls;
let server: TestServer;
beforeAll(async () => {
  authority = await createAuthority();
  const names = [...localNames, { type: "dns" as const, value: "reins.example" }];
  folder = createTlsFolder({ ...(await authority.issue(names)), clientCa: authority.ca });
  own = await openTls({ cert: folder.files.cert, key: folder.files.key }, { log: silentLog });
  server = await startTestServer({
    tls: own,
    allowedHosts: ["reins.example"],
    limits: { sniffTimeoutMs: 400 },
    fallback: {
      answer(request, response) {
        response.writeHead(200, { "content-type": "text/plain" });
        response.end(`HTTP/${request.httpVersion}`);
      },
      find: () => undefined,
    },
  });
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

/** A connection that has agreed on TLS. */
async function connect(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port: server.port, host: "127.0.0.1", ca: authority.ca, ...options });
  await once(socket, "secureConnect");
  return socket;
}

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

describe("clients", () => {
  const ways: Partial<ReinsClientOptions>[] = [
    { protocol: "grpc" },
    ...(["1.1", "2"] as const).flatMap((httpVersion) => [
      { protocol: "connect" as const, httpVersion },
      { protocol: "grpc-web" as const, httpVersion },
    ]),
  ];

  test.each(ways)("of Connect are served when they trust the authority, and only then: %j", async (way) => {
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:/);
    const trusting = createReinsClient({ baseUrl: server.url, ...way, tls: { ca: authority.ca } });
    expect((await trusting.threads.createThread({})).thread?.threadId).toBeDefined();
    const other = createReinsClient({ baseUrl: server.url, ...way });
    await expect(other.threads.createThread({})).rejects.toThrow(ConnectError);
  });

  test("of grpc-js are served, unary calls and streams", async () => {
    const { credentials } = await import("@grpc/grpc-js");
    const ssl = credentials.createSsl(Buffer.from(authority.ca));
    const threads = createGrpcJsClient(ThreadService, `localhost:${server.port}`, ssl);
    const { thread } = await threads.createThread({});
    const runs = createGrpcJsClient(RunService, `localhost:${server.port}`, ssl);
    const cases: unknown[] = [];
    const create = { threadId: thread!.threadId, spec: { assistantId: "quick" } };
    for await (const { events } of runs.streamRun({ create })) cases.push(...events.map(({ event }) => event.case));
    expect(cases).toEqual(["created", "ended"]);
    for (const client of [threads, runs]) client.close();
  });

  test.skipIf(!capabilities.curl.has()).each([
    ["--http1.1", "HTTP/1.1"],
    ["--http2", "HTTP/2.0"],
  ])("of curl are served with %s", async (flag, version) => {
    const args = ["-sS", flag, "--cacert", folder.files.clientCa!, `${server.url}/`];
    expect((await promisify(execFile)("curl", args)).stdout).toBe(version);
  });

  test.each([
    ["h2 before http/1.1", ["h2", "http/1.1"], "h2"],
    ["http/1.1 alone", ["http/1.1"], "http/1.1"],
    ["nothing", undefined, false],
  ])("agree on the protocol when they offer %s", async (_, ALPNProtocols, agreed) => {
    const socket = await connect({ ...(ALPNProtocols && { ALPNProtocols }) });
    expect(socket.alpnProtocol).toBe(agreed);
    if (agreed === "h2") {
      const session = http2.connect(server.url, { createConnection: () => socket });
      expect(await text(session.request({ ":path": "/" }).end())).toBe("HTTP/2.0");
      session.destroy();
    } else {
      socket.write(get("localhost"));
      expect(await text(socket)).toContain("HTTP/1.1 200 OK");
    }
  });

  test.each([
    ["HTTP/1.1 after h2", "h2", get("localhost")],
    ["HTTP/2 after http/1.1", "http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("that speak %s are cut off", async (_, protocol, bytes) => {
    const socket = await connect({ ALPNProtocols: [protocol] });
    socket.write(bytes);
    expect(await text(socket)).toBe("");
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("may speak %s", async (version) => {
    const socket = await connect({ minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.destroy();
  });

  test("may not speak an older TLS", async () => {
    // So that it is the server that refuses, and not what this machine's client is allowed to offer.
    const old = connect({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    await expect(old).rejects.toThrow(/alert protocol version/);
  });
});

describe("what is no TLS", () => {
  test("is told so, and closed", async () => {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write(get("localhost"));
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain("This port speaks TLS: use https.");
    expect(answer).toContain("x-content-type-options: nosniff");
  });

  test("is closed when it is HTTP/2", async () => {
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    const closed = new Promise((resolve) => session.once("close", resolve));
    await expect(once(session, "remoteSettings")).rejects.toThrow("Protocol error");
    await closed;
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["the beginning of a handshake", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])],
    ["rubbish that looks like one", Buffer.from([0x16, 1, 2, 3, 4, 5, 6, 7, 8, 9])],
  ])("is cut off when it is %s", async (_, bytes) => {
    const socket = net.connect(server.port, "127.0.0.1").on("error", () => {});
    socket.resume().write(bytes);
    await once(socket, "close");
    expect(await (await connect()).end().getProtocol()).toMatch(/^TLS/);
  });
});

describe("browsers", () => {
  test.each([
    ["reins.example", "max-age=31536000"],
    ["localhost", undefined],
    ["127.0.0.1", undefined],
  ])("that know the server as %s are told for its sake alone to come by TLS", async (host, told) => {
    const socket = await connect({ servername: host === "127.0.0.1" ? "localhost" : host });
    socket.write(get(host));
    expect(/^strict-transport-security: (.*)\r$/im.exec(await text(socket))?.[1]).toBe(told);
  });

  test("of a page of the same name that came without TLS are refused", async () => {
    const session = http2.connect(server.url, { ca: authority.ca });
    const ask = async (origin: string) => {
      const stream = session.request({ ":path": "/", ":authority": "reins.example", origin }).end();
      const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      return headers[":status"];
    };
    expect(await ask("https://reins.example")).toBe(200);
    expect(await ask("http://reins.example")).toBe(403);
    session.destroy();
  });
});

describe("a certificate that is replaced", () => {
  const serial = (socket: tls.TLSSocket) => socket.getPeerX509Certificate()?.serialNumber;
  const serialOf = (pem: string) => new X509Certificate(pem).serialNumber;

  test("is that of new connections, and calls that are under way go on", async () => {
    const client = createReinsClient({ baseUrl: server.url, tls: { ca: authority.ca } });
    const create = { threadId: "11111111-1111-4111-8111-111111111111", spec: { assistantId: "held" } };
    const stream = client.runs.streamRun({ create })[Symbol.asyncIterator]();
    await stream.next();
    const before = await connect();

    const pair = await authority.issue(localNames);
    folder.write(pair);
    await own.look();
    const after = await connect();
    expect(serial(after)).toBe(serialOf(pair.cert));
    expect(serial(after)).not.toBe(serial(before));
    expect(after.alpnProtocol).toBe(false);
    expect((await connect({ ALPNProtocols: ["h2"] })).alpnProtocol).toBe("h2");
    await expect(
      connect({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
    ).rejects.toThrow(/alert protocol version/);

    before.write(get("localhost"));
    expect(await text(before)).toContain("200 OK");
    server.services.release();
    expect((await stream.next()).value).toMatchObject({ events: [{ event: { case: "ended" } }] });
    expect(await client.threads.createThread({})).toMatchObject({ thread: {} });
  });

  test("stays when the new files do not fit together", async () => {
    const served = serial(await connect());
    const [one, other] = [await authority.issue(localNames), await authority.issue(localNames)];
    folder.write({ cert: one.cert, key: other.key });
    await own.look();
    expect(serial(await connect())).toBe(served);
    folder.write(one);
    await own.look();
    expect(serial(await connect())).toBe(serialOf(one.cert));
  });
});
