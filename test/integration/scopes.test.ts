import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scope, scopes } from "../../src/access/identity.ts";
import { type Need, routeNeeds, rpcKey, rpcNeeds } from "../../src/access/needs.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { askRoute, askRpc, type Told } from "../support/ask-as.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { type FurnishedOwner, furnish, newNames } from "../support/furnished-owner.ts";
import { until } from "../support/gates.ts";
import { clientOf, type GuardedApp, newOwner, startGuardedApp, withKey } from "../support/guarded-app.ts";
import { ownerlessRoutes, routeCases } from "../support/route-cases.ts";
import { ownedMethods, rpcCases } from "../support/rpc-cases.ts";

let app: GuardedApp;
let hers: FurnishedOwner;
/** Alice's keys, each with one scope. */
const keys = new Map<Scope, string>();

beforeAll(async () => {
  app = await startGuardedApp();
  const alice = newOwner("alice");
  const key = await app.keyOf(alice);
  hers = await furnish(clientOf(app, key), app.app.url, key);
  for (const scope of scopes) keys.set(scope, await app.keyOf(alice, [scope]));
  await until(async () => (await app.db.collection("runs").countDocuments({ status: "running" })) === 1);
});
afterAll(async () => {
  hers.kit.gates.remove();
  await app.close();
});

/** All that is stored, but for what servers tell each other. */
async function stored(): Promise<object> {
  const { nudges: _, ...others } = await databaseDigest(app.db);
  return others;
}

const mine = () => ({ threadId: hers.threadId, runId: hers.live });

/** Whom the table lets ask. */
const allowed = (need: Need): readonly Scope[] =>
  need === "public" ? scopes : typeof need === "object" ? ["admin"] : [...new Set([need, "admin"] as const)];

interface Refusal {
  readonly denied: string | number;
  readonly unauthenticated: string | number;
}

/** Asks about what is there where it must be refused, and about what is not where it may be asked. */
async function asTheTableSays(
  need: Need,
  name: string,
  ask: (key: string | undefined, names: typeof hers | ReturnType<typeof newNames>) => Promise<Told>,
  refusal: Refusal,
): Promise<void> {
  const before = await stored();
  for (const scope of scopes.filter((one) => !allowed(need).includes(one))) {
    const told = await ask(keys.get(scope), hers);
    expect([scope, told.status]).toEqual([scope, refusal.denied]);
    const taken = typeof need === "object" ? "admin" : need;
    expect(told.text).toContain(`${name} takes the scope`);
    expect(told.text).toMatch(new RegExp(`takes the scope \\\\*"${taken}\\\\*"`));
  }
  const unknown = await ask(undefined, hers);
  if (need === "public") expect(unknown.status).not.toBe(refusal.unauthenticated);
  else {
    expect(unknown.status).toBe(refusal.unauthenticated);
    expect(unknown.text).toContain("Bearer realm=");
  }
  expect(await stored()).toEqual(before);
  for (const scope of allowed(need)) {
    const { status } = await ask(keys.get(scope), newNames());
    expect([refusal.denied, refusal.unauthenticated]).not.toContain(status);
  }
}

describe("a key with one scope may ask what the table says", () => {
  const rpcs = ownedMethods.map((method): [string, DescMethod] => [rpcKey(method), method]);
  const rpc = { denied: Code.PermissionDenied, unauthenticated: Code.Unauthenticated };
  it.each(rpcs)("%s", async (name, method) => {
    const [request] = rpcCases.get(name)!;
    await asTheTableSays(
      rpcNeeds[name]!,
      name,
      (key, names) => askRpc(app.app.url, key, method, request!(names, mine())),
      rpc,
    );
  });

  const route = { denied: 403, unauthenticated: 401 };
  it.each(Object.keys(routeCases))("%s", async (name) => {
    const [request] = routeCases[name]!;
    const ask = (key: string | undefined, names: Parameters<NonNullable<typeof request>>[0]) =>
      askRoute(app.app.url, key, name.split(" ")[0]!, request!(names, mine()));
    await asTheTableSays(routeNeeds[name]!, name, ask, route);
  });
  it.each(ownerlessRoutes)("%s", async (name) => {
    const [method, path] = name.split(" ") as [string, string];
    const at = path.replace(":thread_id", hers.threadId).replace(":cron", "x");
    await asTheTableSays(routeNeeds[name]!, name, (key) => askRoute(app.app.url, key, method, { path: at }), route);
  });
});

describe("every protocol has the same guard", () => {
  const protocols = ["grpc", "grpc-web", "connect"] as const;
  it.each(protocols.flatMap((protocol) => [true, false].map((isBinary) => [protocol, isBinary] as const)))(
    "%s, binary: %s",
    async (protocol, useBinaryFormat) => {
      const client = (...interceptors: Interceptor[]) =>
        createReinsClient({ baseUrl: app.app.url, protocol, useBinaryFormat, interceptors });
      const request = { threadId: hers.threadId };
      const asked = async (from: ReinsClient) => (await from.threads.getThread(request)).thread?.threadId;
      expect(await asked(client(withKey(keys.get("read")!)))).toBe(hers.threadId);
      const denied = asked(client(withKey(keys.get("create")!)));
      await expect(denied).rejects.toMatchObject({ code: Code.PermissionDenied });
      await expect(asked(client())).rejects.toMatchObject({ code: Code.Unauthenticated });
      const wrong = withKey(`${keys.get("read")!.slice(0, -2)}__`);
      await expect(asked(client(wrong))).rejects.toMatchObject({ code: Code.Unauthenticated });
    },
  );
});

describe("what is not there is not told to strangers", () => {
  it.each(["/nothing", "/threads/x/nothing", "/reins.v1.NoService/No", "/reins.v1.RunService/No"])(
    "%s",
    async (path) => {
      for (const method of ["GET", "POST"]) {
        expect((await askRoute(app.app.url, undefined, method, { path })).status).toBe(401);
        expect([404, 405, 415]).toContain((await askRoute(app.app.url, keys.get("read"), method, { path })).status);
      }
    },
  );
});
