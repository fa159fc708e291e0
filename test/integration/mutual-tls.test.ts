import { once } from "node:events";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { createAccess } from "../../src/access/access.ts";
import { accessFile } from "../../src/access/access-file.ts";
import { noAudit } from "../../src/access/audit.ts";
import { openTls, type Tls } from "../../src/server/tls-files.ts";
import {
  type Authority,
  createAuthority,
  createTlsFolder,
  localNames,
  type Pair,
  type TlsFolder,
} from "../support/certificates.ts";
import { silentLog } from "../support/engine.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

let authority: Authority;
let folder: TlsFolder;
let own: Tls;
let server: TestServer;
beforeAll(async () => {
  authority = await createAuthority();
  folder = createTlsFolder({ ...(await authority.issue(localNames)), clientCa: authority.ca });
  own = await openTls(folder.files, { log: silentLog });
  const settings = z.parse(accessFile, {
    client_certificates: [
      { san: "spiffe://acme/worker", owner: "acme", scopes: ["read"] },
      { san: "spiffe://acme/team/*", owner: "acme", actor: "the team", scopes: ["read"] },
      { san: "worker.acme.example", owner: "acme", scopes: ["read"] },
    ],
  });
  server = await startTestServer({
    tls: own,
    access: createAccess({
      settings,
      keys: { find: async () => undefined },
      audit: noAudit,
      now: () => new Date(),
      log: silentLog,
    }),
    fallback: {
      answer(_, response, { identity: { actor, credential } }) {
        const body = JSON.stringify({ actor, credential });
        response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
        response.end(body);
      },
      find: () => undefined,
    },
  });
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

type Shown = Partial<Pair & { readonly session: Buffer; readonly maxVersion: tls.SecureVersion }>;

/** What the server says of who calls, over HTTP/1.1; undefined when it says nothing. */
async function asked(shown: Shown): Promise<{ status: number; body: string } | undefined> {
  const socket = tls.connect({ port: server.port, host: "127.0.0.1", ca: authority.ca, ...shown });
  socket.on("error", () => {});
  socket.write("GET /who HTTP/1.1\r\nHost: reins\r\nConnection: close\r\n\r\n");
  const answer = await text(socket).catch(() => "");
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  return head === "" ? undefined : { status: Number(head.split(" ")[1]), body };
}

const uri = (value: string) => ({ type: "url" as const, value });
const dns = (value: string) => ({ type: "dns" as const, value });

describe("a client certificate", () => {
  test.each([
    ["a URI in the table", [uri("spiffe://acme/worker")], "spiffe://acme/worker", "spiffe://acme/worker"],
    ["a URI below one in the table", [uri("spiffe://acme/team/a")], "the team", "spiffe://acme/team/a"],
    [
      "a DNS name in the table",
      [dns("other.example"), dns("worker.acme.example")],
      "worker.acme.example",
      "worker.acme.example",
    ],
  ])("with %s says who calls, over HTTP/1.1 and HTTP/2", async (_, names, actor, name) => {
    const pair = await authority.issue(names);
    const expected = { actor, credential: `certificate:${name}` };
    expect(JSON.parse((await asked(pair))!.body)).toEqual(expected);
    const session = http2.connect(server.url, { ca: authority.ca, ...pair });
    for (let calls = 0; calls < 2; calls += 1) {
      expect(JSON.parse(await text(session.request({ ":path": "/who" }).end()))).toEqual(expected);
    }
    session.destroy();
  });

  test.each([
    ["a name that is not in the table", [dns("nobody.example")]],
    ["a name that has one of the table within", [uri("spiffe://acme/workers"), uri("spiffe://acme/team")]],
    ["a name with a comma that would be two", [dns("nobody.example, URI:spiffe://acme/worker")]],
  ])("with %s is nobody's: 401", async (_, names) => {
    const answer = await asked(await authority.issue(names));
    expect(answer).toMatchObject({ status: 401, body: expect.stringContaining("bears no name that is known here") });
  });

  test("is not needed: without one, other credentials are asked for", async () => {
    expect(await asked({})).toMatchObject({ status: 401, body: expect.stringContaining("This takes credentials") });
  });

  const reasons = () => server.logged.flatMap(({ reason }) => (typeof reason === "string" ? [reason] : []));
  const hour = 3_600_000;
  test.each([
    [
      "of an unknown authority",
      async () => (await createAuthority()).issue([uri("spiffe://acme/worker")]),
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    [
      "that has expired",
      () => authority.issue([uri("spiffe://acme/worker")], { until: Date.now() - hour / 2 }),
      "CERT_HAS_EXPIRED",
    ],
    [
      "that is not valid yet",
      () => authority.issue([uri("spiffe://acme/worker")], { from: Date.now() + hour }),
      "CERT_NOT_YET_VALID",
    ],
    [
      "that is meant for servers",
      () => authority.issue([uri("spiffe://acme/worker")], { for: "server" }),
      "INVALID_PURPOSE",
    ],
  ])("%s ends its connection, which is no anonymous one", async (_, issue, reason) => {
    const pair = await issue();
    expect(await asked(pair)).toBeUndefined();
    expect(await asked({ ...pair, maxVersion: "TLSv1.2" })).toBeUndefined();
    expect(reasons().filter((one) => one === reason)).toHaveLength(2);
    const session = http2.connect(server.url, { ca: authority.ca, ...pair });
    session.on("error", () => {});
    await new Promise((resolve) => session.once("close", resolve));
  });
});

describe("authorities that are replaced", () => {
  test("count for new connections, also for sessions that are taken up again; those that are there go on", async () => {
    const former = await authority.issue([uri("spiffe://acme/worker")]);
    const kept = http2.connect(server.url, { ca: authority.ca, ...former });
    const who = async () => JSON.parse(await text(kept.request({ ":path": "/who" }).end()));
    expect(await who()).toMatchObject({ actor: "spiffe://acme/worker" });
    const resumable = tls.connect({ port: server.port, host: "127.0.0.1", ca: authority.ca, ...former });
    const [session] = (await once(resumable, "session")) as [Buffer];
    resumable.destroy();
    expect(await asked({ session })).toMatchObject({
      status: 200,
      body: expect.stringContaining("spiffe://acme/worker"),
    });

    const next = await createAuthority();
    folder.write({ clientCa: next.ca });
    await own.look();
    expect(await asked(await next.issue([uri("spiffe://acme/worker")]))).toMatchObject({ status: 200 });
    expect(await asked(former)).toBeUndefined();
    expect((await asked({ session }))?.status).toBe(401);
    expect(await who()).toMatchObject({ actor: "spiffe://acme/worker" });
    kept.destroy();
  });
});
