import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { makeApiKey } from "../../src/access/api-keys.ts";
import type { Scope } from "../../src/access/identity.ts";
import { createAuthority, createTlsFolder, localNames } from "./certificates.ts";
import { startExample } from "./example.ts";
import { openStores } from "./stores.ts";
import { startTestApp, type TestApp } from "./test-app.ts";

const page = readFileSync(new URL("../../docs/access.md", import.meta.url), "utf8");

/** The only piece of code of docs/access.md in this language that holds the text. */
export function accessPageCode(language: string, text: string): string {
  const blocks = page.matchAll(/^```(\w+)\n(.*?)^```$/gms);
  const [found, ...others] = [...blocks].filter(([, of, code]) => of === language && code!.includes(text));
  if (!found || others.length > 0) throw new Error(`${others.length + 1} pieces of ${language} hold ${text}, or none`);
  return found[2]!;
}

/** A server as docs/access.md has it: over TLS, with access control. */
export interface GuardedApp {
  readonly app: TestApp;
  /** "localhost:…": what stands in the place of the page's `agents.example:2024`. */
  readonly address: string;
  /** What a client's process finds in its environment: whom to trust, by the names that the page has, and its key. */
  readonly environment: Readonly<Record<string, string>>;
  newKey(scopes: readonly Scope[], owner?: string): Promise<string>;
  /** Whose a thread is, as it is stored. */
  ownerOf(threadId: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** @param access what the access file says; a server with keys alone has none. */
export async function startGuardedApp(access?: object, corsOrigins?: readonly string[]): Promise<GuardedApp> {
  const authority = await createAuthority();
  const files = createTlsFolder(await authority.issue(localNames));
  const folder = mkdtempSync(join(tmpdir(), "reins-access-"));
  const [caFile, accessFile] = [join(folder, "ca.pem"), join(folder, "access.json")];
  writeFileSync(caFile, authority.ca);
  if (access) writeFileSync(accessFile, JSON.stringify(access));
  const config = {
    configFile: undefined,
    tls: files.files,
    corsOrigins,
    ...(access ? { accessFile } : { apiKeys: true }),
  };
  const app = await startTestApp({ config });
  const { apiKeys } = await openStores(app.db);

  async function newKey(scopes: readonly Scope[], owner = "acme"): Promise<string> {
    const { key, record } = makeApiKey({ owner, scopes, name: "the test", createdBy: "the test" }, new Date());
    await apiKeys.insert(record);
    return key;
  }

  const trusting = ["NODE_EXTRA_CA_CERTS", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
  return {
    app,
    address: `localhost:${app.app.port}`,
    environment: {
      ...Object.fromEntries(trusting.map((name) => [name, caFile])),
      AGENTS_KEY: await newKey(["read", "create"]),
    },
    newKey,
    ownerOf: async (threadId) => (await app.db.collection("threads").findOne({ thread_id: threadId }))?.owner,
    async stop() {
      await app.close();
      files.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A piece of the page's code, for this server. */
export const onServer = (code: string, { address }: GuardedApp): string =>
  code.replaceAll("agents.example:2024", address);

/** Runs what the page shows: its key makes a thread that is its owner's, and one without the scope is told that it lacks it. */
export async function makesThread(
  server: GuardedApp,
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const run = (changed = {}) =>
    startExample(program, args, { ...server.environment, ...environment, ...changed }).ended;
  const { code, stdout, stderr } = await run();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [threadId] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(stdout)!;
  expect(await server.ownerOf(threadId)).toBe("acme");
  const refused = await run({ AGENTS_KEY: await server.newKey(["read"]) });
  expect(refused.stdout + refused.stderr).toMatch(/takes the scope \\?"create/);
}
