import { once } from "node:events";
import http2 from "node:http2";
import { afterEach, describe, expect, test } from "vitest";
import { noAudit } from "../../src/access/audit.ts";
import { createPolicy } from "../../src/access/authorize.ts";
import { noCallLimits } from "../../src/access/limits.ts";
import { missing } from "../../src/access/refusals.ts";
import type { Served } from "../../src/server/server.ts";
import { type Asked, ask } from "../support/ask.ts";
import { startTestServer, type TestServer, type TestServerOptions } from "../support/net-server.ts";

let server: TestServer;
afterEach(() => server.stop());

/** A server with access control, which knows one key. */
async function start(options: TestServerOptions = {}): Promise<void> {
  const identity = { owner: "acme", actor: "ann", scopes: new Set(["admin"] as const), credential: "key:1" };
  const access: Served["access"] = {
    isOn: true,
    policy: createPolicy(new Set(), noAudit),
    audit: noAudit,
    limits: noCallLimits,
    opened: () => () => undefined,
    identify({ headers }) {
      if (headers["x-api-key"] === "k") return identity;
      throw missing();
    },
  };
  const known = [
    { method: "GET", path: "/ok" },
    { method: "GET", path: "/info" },
    { method: "POST", path: "/threads" },
  ];
  server = await startTestServer({
    ...options,
    access,
    fallback: {
      answer(_, response) {
        response.writeHead(200, { "content-type": "application/json" });
        response.end("{}");
      },
      find: (method, path) => known.find((one) => one.method === method && one.path === path),
    },
  });
}

const asked = (path: string, headers: Record<string, string>, method = "GET"): Promise<Asked> =>
  ask(`${server.url}${path}`, { method, headers: { "x-api-key": "k", ...headers } });
const preflight = (headers: Record<string, string>) =>
  ask(`${server.url}/threads`, {
    method: "OPTIONS",
    headers: { "access-control-request-method": "POST", ...headers },
  });
const page = "https://app.example";

describe("with access control", () => {
  test("a request may name any host, until some are allowed: then those and the loopback names", async () => {
    await start();
    for (const host of ["agents.example", "10.0.0.1:2024", "localhost"]) {
      expect((await asked("/info", { host })).status).toBe(200);
    }
    await server.stop();
    await start({ allowedHosts: ["agents.example"] });
    expect((await asked("/info", { host: "agents.example:443" })).status).toBe(200);
    expect((await asked("/info", { host: "localhost" })).status).toBe(200);
    expect((await asked("/info", { host: "other.example" })).status).toBe(403);
  });

  test("health is answered under any name from the first moment on", async () => {
    await start({ isStarting: true });
    expect((await ask(`${server.url}/ok`, { headers: { host: "10.0.0.1" } })).status).toBe(503);
  });

  test("nothing is served that has none after all", async () => {
    await start();
    expect(() => server.server.serve({ routes: () => {} })).toThrow("Access control was announced, and there is none");
  });

  test("no page may call but those of listed origins, and the server's own", async () => {
    await start({ corsOrigins: [page] });
    expect((await asked("/info", { origin: page })).status).toBe(200);
    expect((await asked("/info", { origin: server.url })).status).toBe(200);
    expect((await asked("/info", { origin: "https://agents.example", host: "agents.example" })).status).toBe(200);
    for (const origin of ["http://localhost:5173", "https://other.example", "null"]) {
      const answers = [await asked("/info", { origin }), await asked("/ok", { origin }), await preflight({ origin })];
      for (const { status, headers, body } of answers) {
        expect([status, body]).toEqual([403, expect.stringContaining("ORIGIN_NOT_ALLOWED")]);
        expect(headers).not.toHaveProperty("access-control-allow-origin");
      }
    }
    await server.stop();
    await start();
    expect((await asked("/info", { origin: "http://localhost:5173" })).status).toBe(403);
  });

  test("what a page of another site asks for without an origin is refused, but for what is public", async () => {
    await start({ corsOrigins: [page] });
    for (const site of ["cross-site", "same-site"]) {
      const headers = { "sec-fetch-site": site };
      for (const path of ["/info", "/nowhere", "/reins.v1.ThreadService/GetThread?connect=v1"]) {
        expect(await asked(path, headers)).toMatchObject({ status: 403, body: expect.stringContaining("CROSS_SITE") });
      }
      expect((await asked("/ok", headers)).status).toBe(200);
      expect((await asked("/ok?on_disconnect=cancel", headers)).status).toBe(403);
      expect((await asked("/threads", headers, "POST")).status).toBe(403);
      expect((await asked("/info", { ...headers, origin: page })).status).toBe(200);
    }
    for (const site of ["same-origin", "none"]) {
      expect((await asked("/info", { "sec-fetch-site": site })).status).toBe(200);
    }
  });
});

describe("an answer to a page", () => {
  test.each([[[page]], [["*"]], [["*", page]]])(
    "never lets a browser add credentials of its own: %j",
    async (origins) => {
      await start({ corsOrigins: origins });
      for (const answer of [await asked("/info", { origin: page }), await preflight({ origin: page })]) {
        expect(answer.headers["access-control-allow-origin"]).toBe(page);
        expect(answer.headers.vary).toBe("Origin");
        expect(answer.headers).not.toHaveProperty("access-control-allow-credentials");
      }
    },
  );

  test("lets it send keys, tokens and what LangGraph's clients send beside", async () => {
    await start({ corsOrigins: [page] });
    const allowed = (await preflight({ origin: page })).headers["access-control-allow-headers"]
      ?.toLowerCase()
      .split(", ");
    expect(allowed).toEqual(expect.arrayContaining(["x-api-key", "authorization", "x-auth-scheme", "content-type"]));
    const requested = "content-type,x-api-key,x-auth-scheme,x-tenant-id,x-user-id";
    const { headers } = await preflight({ origin: page, "access-control-request-headers": requested });
    expect(headers["access-control-allow-headers"]).toBe(requested);
  });

  const reaching = { "access-control-request-private-network": "true" };
  const granted = ({ headers }: Asked) => headers["access-control-allow-private-network"];

  test("lets it reach into a private network when its origin is listed, and only then", async () => {
    await start({ corsOrigins: [page, "*"] });
    expect(granted(await preflight({ origin: page, ...reaching }))).toBe("true");
    expect(granted(await preflight({ origin: page }))).toBeUndefined();
    expect(granted(await preflight({ origin: "https://other.example", ...reaching }))).toBeUndefined();
    await server.stop();
    server = await startTestServer();
    const loopback = await preflight({ origin: "http://localhost:5173", ...reaching });
    expect([loopback.status, granted(loopback)]).toEqual([204, undefined]);
  });
});

describe("every answer", () => {
  test("tells a browser neither to guess what it is nor to keep it, also when it refuses", async () => {
    await start({ allowedHosts: ["agents.example"] });
    const answers = {
      200: await asked("/info", {}),
      204: await ask(`${server.url}/threads`, {
        method: "OPTIONS",
        headers: { origin: server.url, "access-control-request-method": "POST" },
      }),
      401: await ask(`${server.url}/info`),
      403: await asked("/info", { host: "other.example" }),
      404: await asked("/no.Service/Method", {}, "POST"),
      415: await asked("/reins.v1.ThreadService/GetThread", { "content-type": "text/plain" }, "POST"),
    };
    for (const [status, answer] of Object.entries(answers)) {
      expect([
        String(answer.status),
        answer.headers["x-content-type-options"],
        answer.headers["cache-control"],
      ]).toEqual([status, "nosniff", "no-store"]);
      expect(answer.headers).not.toHaveProperty("strict-transport-security");
    }
  });

  test.each([
    ["application/grpc", undefined],
    ["application/grpc+proto", undefined],
    ["application/grpc-web+proto", "nosniff"],
  ])("but those of gRPC, which no browser reads: %s", async (type, told) => {
    await start();
    const session = http2.connect(server.url);
    const path = "/reins.v1.ThreadService/CreateThread";
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": type, "x-api-key": "k" });
    stream.end(Buffer.alloc(5));
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    expect(headers["x-content-type-options"]).toBe(told);
    expect(headers["cache-control"]).toBe(told && "no-store");
    session.destroy();
  });
});
