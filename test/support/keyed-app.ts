import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interceptor } from "@connectrpc/connect";
import { makeApiKey } from "../../src/access/api-keys.ts";
import type { Scope } from "../../src/access/identity.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { createApiKeyStore } from "../../src/storage/api-key-store.ts";
import { collections } from "../../src/storage/collections.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "./test-app.ts";

/** A server with access control, and keys for it. */
export interface KeyedApp extends TestApp {
  /** Makes a key; by default one that may do all but what is an operator's. */
  key(owner: string, scopes?: readonly Scope[]): Promise<string>;
  clientOf(key: string): ReinsClient;
  /** Of that owner, with a key of its own. */
  clientFor(owner: string): Promise<ReinsClient>;
}

export const withKey =
  (key: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("x-api-key", key);
    return next(request);
  };

/** `access` is what the access file says. */
export async function startKeyedApp(access: object = {}, options: TestAppOptions = {}): Promise<KeyedApp> {
  const folder = mkdtempSync(join(tmpdir(), "reins-access-"));
  const accessFile = join(folder, "access.json");
  writeFileSync(accessFile, JSON.stringify(access));
  const app = await startTestApp({ ...options, config: { ...options.config, accessFile } });
  const store = createApiKeyStore(collections(app.db));

  async function key(
    owner: string,
    scopes: readonly Scope[] = ["read", "create", "cancel", "delete"],
  ): Promise<string> {
    const made = makeApiKey({ owner, scopes, name: `${owner}'s`, createdBy: "test" }, new Date());
    await store.insert(made.record);
    return made.key;
  }
  const clientOf = (its: string) => createReinsClient({ baseUrl: app.app.url, interceptors: [withKey(its)] });
  return {
    ...app,
    key,
    clientOf,
    clientFor: async (owner) => clientOf(await key(owner)),
    async close() {
      await app.close();
      rmSync(folder, { recursive: true });
    },
  };
}
