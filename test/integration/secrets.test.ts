import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { descendantsOf } from "../support/processes.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

const folder = mkdtempSync(join(tmpdir(), "reins-secrets-"));
let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

/** The settings of a server that is told where the database is in this way, and a name for its folder of temporary files. */
const ways: Record<string, (uri: string) => Record<string, string>> = {
  MONGODB_URI: (uri) => ({ MONGODB_URI: uri }),
  MONGODB_URI_FILE(uri) {
    const file = join(folder, "uri");
    writeFileSync(file, uri, { mode: 0o600 });
    return { MONGODB_URI_FILE: file };
  },
};

/** What other processes of the same user can read of a process, for as long as it runs. */
describe.runIf(process.platform === "linux")("the environment of a server's processes", () => {
  it.each(Object.keys(ways))("does not hold the address of the database: %s", { timeout: 120_000 }, async (way) => {
    const { MONGODB_URI: uri, ...others } = settingsOf(database);
    const temporary = join(folder, way);
    mkdirSync(temporary);
    const settings = {
      ...others,
      ...ways[way]!(uri!),
      TMPDIR: temporary,
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
    };
    const server = await startServerProcess(settings);
    try {
      const kit = await createRunKit(server);
      const { runId } = await kit.start();
      await kit.gates.started("a");
      const children = descendantsOf(server.pid);
      expect(children.length).toBeGreaterThan(0);
      for (const pid of [server.pid, ...children]) {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
        // It is this process's, and not empty as that of one which is gone.
        expect(environment).toContain("PATH=");
        expect(environment).not.toContain("MONGODB_URI=");
        expect(environment).not.toContain(uri);
        expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain(uri);
      }
      // By way of which the address was handed over.
      expect(readdirSync(temporary).filter((name) => name.startsWith("reins-start-"))).toEqual([]);
      kit.gates.open();
      await kit.join(runId);
      kit.gates.remove();
    } finally {
      expect(await server.end("SIGTERM")).toBe(0);
    }
  });
});
