import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AuditEntry } from "../../src/domain/access-ports.ts";
import { ownerKey } from "../../src/domain/owner.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { openStores } from "../support/stores.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

let database: TestDatabase;
let stores: Stores;
beforeAll(async () => {
  database = await testDatabase();
  // As a server does, the command makes an empty database one of Reins.
  expect(await webhooks("secret")).toMatchObject({ code: 0 });
  stores = await openStores(database.db);
});
afterAll(() => database.close());

/** The binary to its end, on the file's database. */
function webhooks(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...settingsOf(database) };
  return new Promise((ended) => {
    execFile(process.execPath, [main, "webhooks", ...args], { env }, (error, stdout, stderr) =>
      ended({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const secretsOf = async (owner: string) => (await stores.webhookSecrets.secretsOf(owner)).map(({ secret }) => secret);

describe("reins webhooks secret", () => {
  it("shows an owner's secrets alone, newest first, and makes the first one", async () => {
    const first = await webhooks("secret", "--owner", "acme");
    expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Made .* signs until it is rotated\.\n$/) });
    expect(first.stdout).toBe(`${(await secretsOf("acme"))[0]}\n`);
    await stores.webhookSecrets.rotate("acme");
    const both = await webhooks("secret", "--owner", "acme");
    expect(both.stdout.trim().split("\n")).toEqual(await secretsOf("acme"));
    expect(both.stdout.trim().split("\n")).toHaveLength(2);
    const asJson = await webhooks("secret", "--owner", "acme", "--json");
    const lines = asJson.stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).secret)).toEqual(await secretsOf("acme"));
    expect([lines.map((line) => typeof JSON.parse(line).expires), asJson.stderr]).toEqual([
      ["undefined", "string"],
      "",
    ]);
  });

  it("rotates them: the new one is printed, and the former one signs along for a day", async () => {
    const owner = "auth0|7/x";
    const former = (await webhooks("secret", "--owner", owner)).stdout.trim();
    const rotated = await webhooks("secret", "--owner", owner, "--rotate");
    expect(await secretsOf(ownerKey(owner))).toEqual([rotated.stdout.trim(), former]);
    const [, old] = await stores.webhookSecrets.secretsOf(ownerKey(owner));
    const hours = (old!.expires!.getTime() - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(23);
    expect(hours).toBeLessThanOrEqual(24);
  });

  it("is about the one owner that there is without access control, when none is named", async () => {
    expect((await webhooks("secret")).stdout).toBe(`${(await secretsOf(""))[0]}\n`);
  });

  it("leaves each time an entry in the audit, without the secret", async () => {
    const since = new Date();
    const { stdout } = await webhooks("secret", "--owner", "audited");
    await webhooks("secret", "--owner", "audited", "--rotate");
    const entries: AuditEntry[] = [];
    for await (const entry of stores.audit.list("audited", since)) entries.push(entry);
    const common = {
      owner: "audited",
      actor: expect.stringMatching(/.@./),
      call: "webhooks/secret",
      decision: "allowed",
    };
    expect(entries).toMatchObject([
      { ...common, outcome: "shown" },
      { ...common, outcome: "rotated" },
    ]);
    expect(JSON.stringify(entries)).not.toContain(stdout.trim().slice(6));
  });

  it("explains itself, and refuses what it does not know", async () => {
    expect((await webhooks()).stdout).toContain("reins webhooks secret [--owner NAME] --rotate");
    for (const args of [["secrets"], ["secret", "acme"], ["secret", "--rotat"]]) {
      const refused = await webhooks(...args);
      expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("reins webhooks secret") });
    }
  });
});
