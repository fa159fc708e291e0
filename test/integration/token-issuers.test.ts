import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createReinsClient } from "../../src/client/index.ts";
import { ownerKey } from "../../src/domain/owner.ts";
import { until } from "../support/gates.ts";
import { type GuardedApp, startGuardedApp } from "../support/guarded-app.ts";
import { startIssuer, type TestIssuer } from "../support/token-issuer.ts";

let issuer: TestIssuer;
/** Of which no token has been seen, and nothing is known. */
let away: TestIssuer;
let app: GuardedApp;
const folder = mkdtempSync(join(tmpdir(), "reins-tokens-"));

beforeAll(async () => {
  [issuer, away] = await Promise.all([startIssuer(), startIssuer("ES256")]);
  const accessFile = join(folder, "access.json");
  const entryOf = ({ url }: TestIssuer) => ({ issuer: url, audience: "reins", claims: { owner: "tenant" } });
  writeFileSync(accessFile, JSON.stringify({ token_issuers: [issuer, away].map(entryOf) }));
  app = await startGuardedApp({ accessFile });
});
afterAll(async () => {
  await app.close();
  await Promise.all([issuer.close(), away.close()]);
  rmSync(folder, { recursive: true });
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const clientOf = (token: string) =>
  createReinsClient({
    baseUrl: app.app.url,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
const get = (path: string, token: string, more: Record<string, string> = {}) =>
  fetch(app.app.url + path, { headers: { ...bearer(token), ...more } });

describe("a token of an issuer", () => {
  it("is taken over gRPC and HTTP, and keeps tenants apart", async () => {
    const scope = "reins:read reins:create";
    const hers = await issuer.sign({ tenant: "auth0|7/x", scope });
    const { threadId } = (await clientOf(hers).threads.createThread({})).thread!;
    expect((await get(`/threads/${threadId}`, hers)).status).toBe(200);
    const theirs = await issuer.sign({ tenant: "auth0|7", scope });
    expect((await get(`/threads/${threadId}`, theirs)).status).toBe(404);
    const stored = await app.db.collection("threads").findOne({ thread_id: threadId });
    expect(stored).toMatchObject({ owner: ownerKey("auth0|7/x"), _id: `${ownerKey("auth0|7/x")}/${threadId}` });
  });

  it("may do what its scopes say, beside a LangSmith key, and is named in the audit by its issuer", async () => {
    const token = await issuer.sign({ scope: "reins:read", sub: "ann" });
    expect((await get("/threads/search", token)).status).toBe(405);
    await expect(clientOf(token).threads.createThread({})).rejects.toMatchObject({ code: Code.PermissionDenied });
    const other = await get("/runs/crons/x", token, { "x-api-key": "lsv2_pt_of_langsmith" });
    expect(other.status).toBe(501);
    await until(async () => (await app.audited("acme")).length > 0);
    expect(await app.audited("acme")).toMatchObject([
      { actor: "ann", credential: `jwt:${issuer.url}`, decision: "refused", outcome: "lacks the scope create" },
    ]);
    expect(JSON.stringify(await app.audited())).not.toContain(token.split(".")[2]);
  });

  it("that is no good is 401 and UNAUTHENTICATED", async () => {
    const token = await issuer.sign({ aud: "other" });
    const answer = await get("/threads/search", token);
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="reins"']);
    await expect(clientOf(token).threads.searchThreads({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it("is 503 and UNAVAILABLE while its issuer cannot be asked, and good when it can", async () => {
    const token = await away.sign({ scope: "reins:read" });
    await away.close();
    const answer = await get("/threads/search", token);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    await expect(clientOf(token).threads.searchThreads({})).rejects.toMatchObject({ code: Code.Unavailable });
    await away.listen();
    away.answers = "never";
    expect((await get("/threads/search", token)).status).toBe(503);
    away.answers = "well";
    // Not at once: whoever sends tokens must not make this server besiege an issuer.
    const patience = { timeout: 20_000, interval: 100 };
    const found = await vi.waitFor(() => clientOf(token).threads.searchThreads({}), patience);
    expect(found.threads).toEqual([]);
  });
});
