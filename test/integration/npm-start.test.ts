import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
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

  it("serves graphs of one's own by the line of the README as it stands, but for the path", async () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const [line] = /^npm start -- --config path\/to\/langgraph\.json$/m.exec(readme)!;
    const folder = mkdtempSync(join(tmpdir(), "reins graphs-"));
    const agents = fileURLToPath(new URL("../agents/", import.meta.url));
    writeFileSync(join(folder, "langgraph.json"), JSON.stringify({ graphs: { mine: `${agents}gated.ts:graph` } }));
    const command = line.replace("path/to/langgraph.json", `"${join(relative(root, folder), "langgraph.json")}"`);
    const settings = { ...settingsOf(database), REINS_CHILDREN: "1", REINS_PORT: "0" };
    const own = await startServerProcess(settings, [], root, ["bash", "-c", `exec ${command}`]);
    const processes = descendantsOf(own.pid);
    const { assistants } = await own.client.assistants.searchAssistants({});
    expect(assistants.map(({ graphId }) => graphId)).toContain("mine");
    expect(own.log()).toContain('"mine"');
    expect(await own.end("SIGTERM")).toBe(0);
    await until(() => !processes.some(isAlive));
    rmSync(folder, { recursive: true });
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
