import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReinsClient } from "../../src/client/index.ts";
import { wantedTestEngine } from "../support/embedded-options.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { withKey } from "../support/guarded-app.ts";
import { descendantsOf } from "../support/processes.ts";
import { command } from "../support/run-command.ts";
import { createRunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

/** 404 for a key that may read: there is no such thread. */
const status = async ({ url }: ServerProcess, key: string) =>
  (await fetch(`${url}/threads/${randomUUID()}`, { headers: { "x-api-key": key } })).status;

const secretOf = (key: string) => key.split("_").slice(2).join("_");

describe("reins keys on the database of two servers", () => {
  let database: TestDatabase;
  let settings: Readonly<Record<string, string>>;
  const servers: ServerProcess[] = [];

  beforeAll(async () => {
    database = await testDatabase();
    settings = { ...settingsOf(database), REINS_CONFIG: gatedGraph, REINS_CHILDREN: "1" };
    const guarded = { ...settings, REINS_API_KEYS: "true", REINS_LOG_LEVEL: "trace" };
    servers.push(...(await Promise.all([startServerProcess(guarded), startServerProcess(guarded)])));
  });
  afterAll(async () => {
    for (const server of servers) expect(await server.end("SIGTERM")).toBe(0);
    await database.close();
  });

  const keys = (...args: string[]) => command(["keys", ...args], settings);

  async function create(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await keys("create", ...args);
    expect([code, stderr]).toEqual([0, expect.stringContaining("It is not shown again.")]);
    expect(stdout).toMatch(/^reins_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}\n$/);
    return stdout.trim();
  }

  it("makes a key that both take, and whose revocation both feel", async () => {
    const key = await create("--owner", "acme", "--scopes", "read,create", "--name", "the build", "--expires", "1h");
    const id = key.split("_")[1]!;
    for (const server of servers) expect(await status(server, key)).toBe(404);
    const { stdout: listed } = await keys("list", "--owner", "acme");
    expect(listed).toMatch(new RegExp(`^ID +OWNER +SCOPES .*\n${id} +acme +read,create +the build `));
    expect(await keys("revoke", id)).toEqual({ code: 0, stdout: "", stderr: `The key ${id} is revoked.\n` });
    // Within five seconds of it; a machine that is busy may take longer to ask.
    for (const server of servers) await until(async () => (await status(server, key)) === 401, 20_000);
    expect((await keys("list")).stdout).toMatch(new RegExp(`${id} .* revoked `));
    const changes = await database.db
      .collection("audit")
      .find({ targets: `key ${id}` })
      .sort({ _id: 1 })
      .toArray();
    expect(changes).toMatchObject([
      {
        call: "keys/create",
        outcome: "created",
        owner: "acme",
        decision: "allowed",
        actor: expect.stringMatching(/.@./),
      },
      { call: "keys/revoke", outcome: "revoked", owner: "acme", decision: "allowed" },
    ]);
  });

  it("prints JSON for programs, and a key once only", async () => {
    const { stdout } = await keys("create", "--admin", "--json");
    const { key, ...shown } = JSON.parse(stdout) as Record<string, string>;
    expect(shown).toMatchObject({ owner: "", scopes: ["read", "create", "cancel", "delete", "admin"] });
    const { stdout: listed } = await keys("list", "--json");
    expect(listed.split("\n").map((line) => (line ? JSON.parse(line).id : ""))).toContain(shown.id);
    for (const never of [secretOf(key!), "hash"]) expect(listed).not.toContain(never);
    expect(await status(servers[0]!, key!)).toBe(404);
  });

  it.each([
    [
      "an owner is missing",
      ["create", "--scopes", "read"],
      "--owner names the tenant; only a key with --admin may have none",
    ],
    ["a scope is unknown", ["create", "--owner", "a", "--scopes", "read,root"], '--scopes has "root"'],
    ["its end is past", ["create", "--owner", "a", "--scopes", "read", "--expires", "2020-01-01"], "--expires is"],
    ["there is no such key", ["revoke", "AAAAAAAAAAAA"], "There is no key AAAAAAAAAAAA"],
  ])("says in a sentence that %s", async (_, args, sentence) => {
    const { code, stdout, stderr } = await keys(...args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(sentence);
    expect(stderr).not.toContain("    at ");
  });

  it("leaves no key in logs, errors and what other processes can see", async () => {
    const key = await create("--owner", "logged", "--scopes", "read,create,cancel");
    const [server] = servers as [ServerProcess];
    const client = createReinsClient({ baseUrl: server.url, interceptors: [withKey(key)] });
    const kit = await createRunKit({ client });
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const wrong = `${key.slice(0, -3)}xyz`;
    const told: string[] = [];
    const wrongly: Record<string, string>[] = [
      { "x-api-key": wrong },
      { authorization: `Bearer ${wrong}` },
      { authorization: key },
    ];
    for (const headers of wrongly) {
      told.push(await (await fetch(`${server.url}/threads/${randomUUID()}`, { headers })).text());
    }
    const denied = await fetch(`${server.url}/assistants`, {
      method: "POST",
      headers: { "x-api-key": key },
      body: "{}",
    });
    told.push(await denied.text());
    expect(denied.status).toBe(403);
    const missing = client.threads.getThread({ threadId: randomUUID() });
    told.push(await missing.then(() => "", String));
    const visible = [server.pid, ...descendantsOf(server.pid)].flatMap((pid) =>
      process.platform === "linux" ? [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`] : [],
    );
    const texts = [server.log(), ...told, ...visible.map((file) => readFileSync(file, "utf8"))];
    expect(server.log()).toContain("reins.v1.RunService/CreateRun");
    expect(told.every((text) => text !== "")).toBe(true);
    for (const text of texts) for (const one of [key, wrong]) expect(text).not.toContain(secretOf(one).slice(0, 40));
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  });
});

describe("reins keys on the embedded database of a server", () => {
  it("works while the server is stopped and while it runs", async () => {
    const folder = mkdtempSync(join(tmpdir(), "reins-keys-"));
    const settings = {
      REINS_VENV_DIR: resolve(import.meta.dirname, "../../.reins/venv"),
      REINS_ENGINE: wantedTestEngine(),
      REINS_DATA_DIR: join(folder, "data"),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
    };
    const keys = async (...args: string[]) => {
      const { code, stdout, stderr } = await command(["keys", ...args], settings);
      expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
      return stdout.trim();
    };
    try {
      const early = await keys("create", "--owner", "acme", "--scopes", "read");
      const server = await startServerProcess({ ...settings, REINS_API_KEYS: "true" });
      try {
        expect(await status(server, early)).toBe(404);
        const late = await keys("create", "--owner", "acme", "--scopes", "read");
        expect(await status(server, late)).toBe(404);
        await keys("revoke", late.split("_")[1]!);
        await until(async () => (await status(server, late)) === 401, 20_000);
        expect(await status(server, early)).toBe(404);
      } finally {
        expect(await server.end("SIGTERM")).toBe(0);
      }
      expect((await keys("list", "--json")).split("\n")).toHaveLength(2);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
