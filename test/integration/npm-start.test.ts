import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { isAlive, until } from "../support/gates.ts";
import { descendantsOf } from "../support/processes.ts";
import { createRunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a service manager or a container does: it starts npm, and sends its signals there. */
describe.runIf(process.platform === "linux")("npm start", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let server: ServerProcess;
  let started: number[];

  beforeEach(async () => {
    database = await testDatabase();
    const settings = {
      ...settingsOf(database),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
      REINS_DRAIN_MS: "600000",
    };
    server = await startServerProcess(settings, ["--port", "0"], root, ["npm", "start", "--"]);
    started = descendantsOf(server.pid);
  });
  afterEach(async () => {
    for (const pid of started.filter(isAlive)) process.kill(pid, "SIGKILL");
    await database.close();
  });

  const allGone = () => until(() => !started.some(isAlive));

  it.each(["SIGTERM", "SIGINT"] as const)("ends with everything that it has started on %s", async (signal) => {
    // The server and its child.
    expect(started.length).toBeGreaterThan(1);
    expect(await server.end(signal)).toBe(0);
    await allGone();
    expect(server.log()).toContain("draining");
  });

  it("waits for its runs on the first signal, and not on the second", async () => {
    const kit = await createRunKit(server);
    await kit.start();
    await kit.gates.started("a");
    process.kill(server.pid, "SIGTERM");
    await until(() => server.log().includes("draining"));
    expect(await server.end("SIGTERM")).toBe(1);
    await allGone();
    kit.gates.remove();
  });
});
