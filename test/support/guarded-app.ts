import { randomUUID } from "node:crypto";
import type { Interceptor } from "@connectrpc/connect";
import { makeApiKey } from "../../src/access/api-keys.ts";
import { scopes as allScopes, type Scope } from "../../src/access/identity.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import type { Config } from "../../src/config.ts";
import type { AuditEntry } from "../../src/domain/access-ports.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "./test-app.ts";

/** A server that asks everybody for an API key, on a database of its own. */
export interface GuardedApp extends TestApp {
  readonly stores: Stores;
  /** A new key of an owner; it may do everything unless scopes are given. */
  keyOf(owner: string, scopes?: readonly Scope[]): Promise<string>;
  /** What the audit has of an owner, or of all. */
  audited(owner?: string): Promise<AuditEntry[]>;
}

export async function startGuardedApp(
  config: Partial<Config> = {},
  options: Pick<TestAppOptions, "log" | "identify" | "ownChildren"> = {},
): Promise<GuardedApp> {
  let stores: Stores | undefined;
  const app = await startTestApp({
    ...options,
    config: { ...(config.accessFile === undefined && { apiKeys: true }), ...config },
    decorate(parts) {
      stores ??= parts.stores;
      return parts;
    },
  });
  const { apiKeys, audit } = stores!;
  return {
    ...app,
    stores: stores!,
    async keyOf(owner, scopes = allScopes) {
      const { key, record } = makeApiKey({ owner, scopes, name: "tester", createdBy: "tests" }, new Date());
      await apiKeys.insert(record);
      return key;
    },
    async audited(owner) {
      const entries: AuditEntry[] = [];
      for await (const entry of audit.list(owner, new Date(0))) entries.push(entry);
      return entries;
    },
  };
}

/** Sends a key, and a request id if there is one, with every call. */
export const withKey =
  (key: string, requestId?: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("x-api-key", key);
    if (requestId !== undefined) request.header.set("x-request-id", requestId);
    return next(request);
  };

export const clientOf = ({ app }: Pick<TestApp, "app">, key: string, requestId?: string): ReinsClient =>
  createReinsClient({ baseUrl: app.url, interceptors: [withKey(key, requestId)] });

/** A name that no other owner has, so that whatever bears it is that owner's. */
export const newOwner = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`;
