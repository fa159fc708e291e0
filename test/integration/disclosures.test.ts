import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { openAccess } from "../../src/access/access.ts";
import { noAudit } from "../../src/access/audit.ts";
import { createPolicy } from "../../src/access/authorize.ts";
import { scopes } from "../../src/access/identity.ts";
import { disclosures, routeNeeds } from "../../src/access/needs.ts";
import { askRoute } from "../support/ask-as.ts";
import { type GuardedApp, newOwner, startGuardedApp, withKey } from "../support/guarded-app.ts";
import { startTestServer } from "../support/net-server.ts";

const folder = mkdtempSync(join(tmpdir(), "reins-access-"));
let closed: GuardedApp;
let open: GuardedApp;
beforeAll(async () => {
  const accessFile = join(folder, "access.json");
  writeFileSync(accessFile, JSON.stringify({ show: disclosures }));
  [closed, open] = await Promise.all([startGuardedApp(), startGuardedApp({ accessFile })]);
});
afterAll(async () => {
  await Promise.all([closed.close(), open.close()]);
  rmSync(folder, { recursive: true });
});

const versions = { v1: ServerReflection, v1alpha: ServerReflectionV1Alpha as unknown as typeof ServerReflection };

/** The services that reflection lists, or the code of its refusal. */
async function listed(url: string, key: string | undefined, version: keyof typeof versions): Promise<string[] | Code> {
  const interceptors = key === undefined ? [] : [withKey(key)];
  const client = createClient(versions[version], createGrpcTransport({ baseUrl: url, interceptors }));
  async function* question() {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
  }
  try {
    for await (const { messageResponse } of client.serverReflectionInfo(question())) {
      if (messageResponse.case === "listServicesResponse") return messageResponse.value.service.map(({ name }) => name);
    }
  } catch (error) {
    return ConnectError.from(error).code;
  }
  return [];
}

const telling = Object.entries(routeNeeds).flatMap(([route, need]) =>
  typeof need === "object" ? [route.split(" ") as [string, string]] : [],
);

describe.each(Object.keys(versions) as (keyof typeof versions)[])("reflection %s", (version) => {
  it.each(scopes)("with the scope %s", async (scope) => {
    const key = await closed.keyOf(newOwner("alice"), [scope]);
    const told = await listed(closed.app.url, key, version);
    if (scope === "admin") expect(told).toContain("reins.v1.RunService");
    else expect(told).toBe(Code.PermissionDenied);
  });

  it("is refused to nobody in particular, unless it is shown", async () => {
    expect(await listed(closed.app.url, undefined, version)).toBe(Code.Unauthenticated);
    expect(await listed(open.app.url, undefined, version)).toContain("reins.v1.RunService");
  });

  it("tells nothing while a guarded server starts", async () => {
    const policy = createPolicy(new Set(), noAudit);
    const server = await startTestServer({ access: { ...openAccess, isOn: true, policy }, isStarting: true });
    try {
      expect(await listed(server.url, undefined, version)).toBe(Code.Unavailable);
    } finally {
      await server.stop();
    }
  });
});

describe("what tells of the server", () => {
  it.each(telling)("%s %s is for everybody only when the access file says so", async (method, path) => {
    expect((await askRoute(closed.app.url, undefined, method, { path })).status).toBe(401);
    expect((await askRoute(open.app.url, undefined, method, { path })).status).toBe(200);
  });

  it("but nothing else is by that", async () => {
    expect((await askRoute(open.app.url, undefined, "POST", { path: "/threads/search", body: {} })).status).toBe(401);
  });

  it("and health is for everybody", async () => {
    const health = createClient(Health, createGrpcTransport({ baseUrl: closed.app.url }));
    expect((await health.check({})).status).toBe(1);
  });
});
