import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { errorReason } from "../../src/client/index.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const path = "/reins.v1.ThreadService/CreateThread";

/** fetch sets Host and Origin itself, so this goes by hand. */
async function request(port: number, method: string, headers: Record<string, string>, target = path) {
  const request = http.request({ port, host: "127.0.0.1", path: target, method, headers });
  request.end(method === "POST" ? "{}" : "");
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
const json = { "content-type": "application/json" };

describe("the host that a request names", () => {
  test.each(["localhost", "LOCALHOST:2024", "127.0.0.1", "127.8.9.1:80", "[::1]:2024"])("may be %s", async (host) => {
    expect((await request(server.port, "POST", { ...json, host })).status).toBe(200);
  });

  test.each(["evil.example", "localhost.evil.example:2024", "127.0.0.1.evil.example", "10.0.0.1", "evil@localhost"])(
    "may not be %s",
    async (host) => {
      const { status, body } = await request(server.port, "POST", { ...json, host });
      expect(status).toBe(403);
      expect(JSON.parse(body)).toMatchObject({
        code: "permission_denied",
        message: `The host "${host}" is not served here; use localhost, 127.0.0.1 or [::1].`,
        details: [{ type: "google.rpc.ErrorInfo", debug: { reason: "HOST_NOT_ALLOWED" } }],
      });
    },
  );

  test("is checked over HTTP/2 too, with a gRPC status for gRPC", async () => {
    const session = http2.connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      ":authority": "evil.example:80",
      "content-type": "application/grpc",
    });
    const [{ ":status": _, ...headers }] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    const error = findTrailerError(new Headers(Object.entries(headers) as [string, string][]));
    expect(ConnectError.from(error).code).toBe(Code.PermissionDenied);
    expect(errorReason(error)).toBe("HOST_NOT_ALLOWED");
    session.destroy();
  });

  /** Sends the head of a request as it stands, and answers the first line and the body. */
  async function raw(...head: string[]): Promise<{ status: number; body: string }> {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write(
      `${[...head, "connection: close", "content-type: application/json", "content-length: 2"].join("\r\n")}\r\n\r\n{}`,
    );
    const answer = await text(socket);
    return { status: Number(answer.split(" ", 2)[1]), body: answer };
  }

  test.each([
    ["twice", `POST ${path} HTTP/1.1`, ["host: localhost", "host: evil.example"], 400, "HOST_AMBIGUOUS"],
    [
      "twice, the other way round",
      `POST ${path} HTTP/1.1`,
      ["host: evil.example", "Host: localhost"],
      400,
      "HOST_AMBIGUOUS",
    ],
    ["twice, the same", `POST ${path} HTTP/1.1`, ["host: localhost", "host: localhost"], 400, "HOST_AMBIGUOUS"],
    [
      "in a target of another host",
      `POST http://evil.example${path} HTTP/1.1`,
      ["host: localhost"],
      400,
      "HOST_AMBIGUOUS",
    ],
    [
      "in a target that agrees",
      `POST http://evil.example${path} HTTP/1.1`,
      ["host: evil.example"],
      403,
      "HOST_NOT_ALLOWED",
    ],
    [
      "in a target with a user",
      `POST http://localhost@evil.example${path} HTTP/1.1`,
      ["host: localhost"],
      400,
      "HOST_AMBIGUOUS",
    ],
    ["in a target of this host", `POST http://LOCALHOST:80${path} HTTP/1.1`, ["host: localhost:80"], 200, "threadId"],
  ])("may be named %s: %s", async (_, line, hosts, status, says) => {
    const answer = await raw(line, ...hosts);
    expect([answer.status, answer.body]).toEqual([status, expect.stringContaining(says)]);
  });

  test("may be one that was allowed", async () => {
    const own = await startTestServer({ allowedHosts: ["Agents.Internal"] });
    expect((await request(own.port, "POST", { ...json, host: "agents.internal:443" })).status).toBe(200);
    expect((await request(own.port, "POST", { ...json, host: "other.internal:443" })).status).toBe(403);
    await own.stop();
  });
});

describe("web pages", () => {
  const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "content-type" };

  test.each(["http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]"])("of %s may call", async (origin) => {
    const asked = await request(server.port, "OPTIONS", { ...preflight, origin });
    expect(asked.status).toBe(204);
    expect(asked.headers).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": expect.stringContaining("POST"),
      "access-control-allow-headers": "content-type",
    });
    const called = await request(server.port, "POST", { ...json, origin });
    expect(called.status).toBe(200);
    expect(called.headers["access-control-allow-origin"]).toBe(origin);
    expect(called.headers["access-control-expose-headers"]?.toLowerCase()).toContain("grpc-status-details-bin");
    expect(called.headers.vary).toBe("Origin");
  });

  test.each(["https://evil.example", "http://localhost.evil.example", "null", "file://localhost"])(
    "of %s may not",
    async (origin) => {
      for (const headers of [
        { ...preflight, origin },
        { ...json, origin },
      ]) {
        const answer = await request(server.port, "content-type" in headers ? "POST" : "OPTIONS", headers);
        expect(answer.status).toBe(403);
        expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
        expect(answer.body).toContain("ORIGIN_NOT_ALLOWED");
      }
    },
  );

  test.each([
    ["POST", "cross-site", {}, 403],
    ["POST", "same-site", {}, 403],
    ["POST", "same-origin", {}, 200],
    ["POST", "none", {}, 200],
    ["POST", "cross-site", { origin: "http://localhost:5173" }, 200],
    ["GET", "cross-site", {}, 405],
    ["DELETE", "cross-site", {}, 403],
  ])("of another site may change nothing without an origin: %s, %s %j", async (method, site, more, status) => {
    const answer = await request(server.port, method, { ...json, "sec-fetch-site": site, ...more });
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.body).toContain("CROSS_SITE");
  });

  test("of another site may not read where leaving cancels", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    const queries = [
      "cancel_on_disconnect=true",
      "a=1&on_disconnect=cancel",
      ...["cancel%5Fon%5Fdisconnect=true", "%63ancel_on_disconnec%74=true", "a&%6fn%5fdisconnect=cancel"],
      ...["on_disconnect", "on_disconnect&on_disconnect=continue", "on_disconnect=continue&on%5Fdisconnect=cancel"],
      ...["On_Disconnect=cancel", "a=?&on_disconnect=cancel", "?x&cancel_on_disconnect=1", "#&on_disconnect=cancel"],
    ];
    for (const query of queries) {
      for (const path of [
        "/threads/x/runs/y/join",
        "/threads/x/%72uns/y/%73tream",
        "/threads/x/runs/y/stream/",
        "//#",
      ]) {
        const answer = await request(server.port, "GET", headers, `${path}?${query}`);
        expect([path, query, answer.status]).toEqual([path, query, 403]);
      }
      const absolute = await request(server.port, "GET", headers, `http://127.0.0.1:${server.port}/join?${query}`);
      expect([query, absolute.status]).toEqual([query, 403]);
    }
    for (const query of ["q=on_disconnect", "q=%26on_disconnect=cancel", "q=1%3fon_disconnect=cancel"]) {
      expect((await request(server.port, "GET", headers, `/docs?${query}`)).status).toBe(404);
    }
  });

  test.each(["Cross-Site", "cross-site, cross-site", "same-origin, cross-site", "elsewhere"])(
    "of a site that is named so are of another one: %s",
    async (site) => {
      expect((await request(server.port, "POST", { ...json, "sec-fetch-site": site })).status).toBe(403);
    },
  );

  test("are those of the configured origins, and the server's own", async () => {
    const own = await startTestServer({ corsOrigins: ["https://app.example"] });
    const status = async (origin: string) => (await request(own.port, "POST", { ...json, origin })).status;
    expect(await status("https://app.example")).toBe(200);
    expect(await status(own.url)).toBe(200);
    expect(await status("http://localhost:5173")).toBe(403);
    await own.stop();
  });

  test('are all with "*"', async () => {
    const own = await startTestServer({ corsOrigins: ["*"] });
    expect((await request(own.port, "POST", { ...json, origin: "https://any.example" })).status).toBe(200);
    await own.stop();
  });
});

describe("listening", () => {
  let own: TestServer | undefined;
  afterEach(() => own?.stop());

  test("on a taken port fails with a sentence that names it and the option", async () => {
    await expect(startTestServer({ port: server.port })).rejects.toThrow(
      `The port ${server.port} on 127.0.0.1 is already in use; choose another one with --port.`,
    );
  });

  test.each(["0.0.0.0", "::", "192.168.1.1", "example.com"])("on %s is refused", async (host) => {
    await expect(startTestServer({ host })).rejects.toThrow(
      `The host ${host} is not a loopback address, and there is no access control`,
    );
  });

  test.each(["localhost", "127.0.0.2"])("on %s works", async (host) => {
    own = await startTestServer({ host });
    expect((await fetch(own.url)).status).toBe(404);
  });
});
