import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { Code } from "@connectrpc/connect";
import { credentials } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { banner } from "../../src/banner.ts";
import { createGrpcJsClient, createReinsClient, ThreadService } from "../../src/client/index.ts";
import {
  type Authority,
  createAuthority,
  createTlsFolder,
  localNames,
  type TlsFolder,
} from "../support/certificates.ts";
import { settingsOf, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph, startTestApp } from "../support/test-app.ts";

let authority: Authority;
let folder: TlsFolder;
beforeAll(async () => {
  authority = await createAuthority();
  folder = createTlsFolder({ ...(await authority.issue(localNames)), clientCa: authority.ca });
});
afterAll(() => folder.remove());

describe("a whole server over TLS", () => {
  it("knows its callers by their certificates, over every protocol, and keeps their threads apart", async () => {
    const accessFolder = mkdtempSync(join(tmpdir(), "reins-access-"));
    const accessFile = join(accessFolder, "access.json");
    const scopes = ["read", "create"];
    const client_certificates = ["acme", "umbrella"].map((owner) => ({ san: `spiffe://${owner}/*`, owner, scopes }));
    writeFileSync(accessFile, JSON.stringify({ client_certificates }));
    const warned: string[] = [];
    const log = pino({ level: "warn" }, { write: (line: string) => void warned.push(JSON.parse(line).msg) });
    const { app, close, start } = await startTestApp({
      config: { configFile: gatedGraph, tls: folder.files, accessFile },
      log,
    });
    expect(warned).not.toContainEqual(expect.stringContaining("certificates"));
    expect(app.url).toMatch(/^https:/);
    expect(banner(app.about, app.url)).toContain(`  API     ${app.url} `);

    const shown = async (owner: string) => ({
      ca: authority.ca,
      ...(await authority.issue([{ type: "url", value: `spiffe://${owner}/worker` }])),
    });
    const [acme, umbrella] = [await shown("acme"), await shown("umbrella")];
    const connect = (own: object, way = {}) => createReinsClient({ baseUrl: app.url, ...way, tls: own }).threads;
    const grpcJs = (own: typeof acme) =>
      createGrpcJsClient(
        ThreadService,
        `localhost:${app.port}`,
        credentials.createSsl(Buffer.from(own.ca), Buffer.from(own.key), Buffer.from(own.cert)),
      );

    const mine = grpcJs(acme);
    const { thread } = await mine.createThread({});
    const threadId = thread!.threadId;
    for (const way of [{}, { protocol: "connect", httpVersion: "1.1" }, { protocol: "grpc-web", httpVersion: "1.1" }]) {
      expect(await connect(acme, way).getThread({ threadId })).toMatchObject({ thread: { threadId } });
      await expect(connect(umbrella, way).getThread({ threadId })).rejects.toMatchObject({ code: Code.NotFound });
      await expect(connect({ ca: authority.ca }, way).getThread({ threadId })).rejects.toMatchObject({
        code: Code.Unauthenticated,
      });
    }
    const theirs = grpcJs(umbrella);
    await expect(theirs.getThread({ threadId })).rejects.toMatchObject({ code: Code.NotFound });
    for (const client of [mine, theirs]) client.close();
    const other = await start({ tls: { ...folder.files, clientCa: undefined } });
    expect(warned).toContainEqual(
      "The access file names client certificates, but none is asked for: REINS_TLS_CLIENT_CA is not set.",
    );
    await other.app.stop();
    await close();
    rmSync(accessFolder, { recursive: true });
  });

  it("takes a new certificate at SIGHUP, and says at its start what its settings mean", async () => {
    const database = await testDatabase();
    const { cert, key, clientCa } = folder.files;
    const server = await startServerProcess(
      {
        ...settingsOf(database),
        ...{ REINS_CONFIG: gatedGraph, REINS_CHILDREN: "1", REINS_API_KEYS: "true" },
        ...{ REINS_TLS_CERT: cert, REINS_TLS_KEY: key, REINS_TLS_CLIENT_CA: clientCa! },
      },
      ["--port", "0", "--insecure-no-auth"],
    );
    expect(server.url).toMatch(/^https:/);
    expect(server.log()).toContain("--insecure-no-auth does nothing: access control is on.");
    expect(server.log()).toContain("no access file says whose client certificates are: they let nobody in.");
    expect(server.log()).toMatch(/The TLS certificate is good until 20\d\d-/);
    const pair = await authority.issue(localNames);
    folder.write(pair);
    process.kill(server.pid, "SIGHUP");
    await until(async () => server.log().includes("The TLS certificate was replaced"));
    const socket = tls.connect({ port: Number(new URL(server.url).port), host: "127.0.0.1", ca: authority.ca });
    await once(socket, "secureConnect");
    expect(socket.getPeerX509Certificate()?.serialNumber).toBe(new X509Certificate(pair.cert).serialNumber);
    socket.destroy();
    expect(await server.end("SIGTERM")).toBe(0);
    await database.close();
  });

  it.each([
    [
      "a key that is not there",
      { REINS_TLS_KEY: "/nowhere/key.pem" },
      /The TLS file \/nowhere\/key\.pem cannot be read \(ENOENT\)\.\n$/,
    ],
    [
      "half of what TLS takes",
      { REINS_TLS_KEY: "" },
      /TLS takes REINS_TLS_CERT and REINS_TLS_KEY; REINS_TLS_KEY is not set\n$/,
    ],
  ])("does not start with %s, and says why", async (_, settings, sentence) => {
    const { cert, key } = folder.files;
    const env = Object.assign({ REINS_TLS_CERT: cert, REINS_TLS_KEY: key, REINS_LOG_LEVEL: "fatal" }, settings);
    await expect(startServerProcess(env)).rejects.toThrow(sentence);
  });
});
