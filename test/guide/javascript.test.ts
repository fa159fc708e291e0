import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startExample } from "../support/example.ts";
import { type GuideServer, type RunIds, startGuideServer } from "../support/guide-server.ts";
import { guideChanges, guideLines, shortTask } from "../support/guide-snippets.ts";

/** Tells a program's watcher when the server has begun to answer, which its lines do not say. */
const watched = `const real = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const response = await real(...request);
  console.error(response.status, response.url);
  return response;
};`;

describe("the guide's lines for JavaScript", () => {
  let server: GuideServer;
  beforeAll(async () => {
    server = await startGuideServer();
  });
  afterAll(() => server?.stop());
  afterEach(() => server.cancelAll());

  /** Runs the lines as an ES module, the only kind that has `await` at its top. */
  const start = (files: string[], changes?: Record<string, string>) => {
    const lines = guideLines(["setup.js", ...files], { DEPLOYMENT_URL: JSON.stringify(server.url) }, changes);
    const preload = `data:text/javascript,${encodeURIComponent(watched)}`;
    return startExample("node", ["--import", preload, "--input-type=module", "--eval", lines]);
  };
  async function run(files: string[], changes?: Record<string, string>): Promise<string[]> {
    const { code, stdout, stderr } = await start(files, changes).ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return stdout.trim().split("\n");
  }

  it("interrupt: wait=true is no argument of JavaScript's; by its place it waits", async () => {
    const { code, stderr } = await start(["create-run.js", "interrupt.js"]).ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain("ReferenceError: wait is not defined");
    expect(await run(["create-run.js", "interrupt.js"], guideChanges.javascript.interrupt)).toEqual(["interrupted"]);
  });

  it("rollback: likewise; the run is gone", async () => {
    const { stderr } = await start(["create-run.js", "rollback.js"]).ended;
    expect(stderr).toContain("ReferenceError: wait is not defined");
    const { rollback } = guideChanges.javascript;
    expect(await run(["create-run.js", "rollback.js"], rollback)).toEqual(["Run was correctly deleted"]);
  });

  it("rollback without wait: the run is gone as well", async () => {
    const changes = { 'wait=true, action="rollback"': 'false, "rollback"' };
    expect(await run(["create-run.js", "rollback.js"], changes)).toEqual(["Run was correctly deleted"]);
  });

  it("without wait: over when the join answers", async () => {
    const printed = await run(["create-run.js", "wait.js"]);
    expect(printed).toEqual([expect.stringMatching(/^(pending|running|interrupted)$/), "interrupted"]);
  });

  const leaving: [what: string, files: string[], said: string][] = [
    ["wait", ["leave-wait.js"], ', onDisconnect: "cancel"'],
    ["stream", ["leave-stream.js"], ', onDisconnect: "cancel"'],
    ["joinStream", ["create-run.js", "leave-join-stream.js"], "cancelOnDisconnect: true"],
  ];

  describe.each(leaving)("on disconnect, %s", (_, files, said) => {
    /** Kills the program when the server has begun to answer, and resolves to its run. */
    async function leave(changes: Record<string, string>, signal: "SIGTERM" | "SIGKILL"): Promise<RunIds> {
      const client = start(files, changes);
      await client.printed(/^200 \S+\/(wait|stream)\b/m, "stderr");
      const ids = await server.running();
      process.kill(client.pid, signal);
      await client.ended;
      return ids;
    }

    it.each(["SIGTERM", "SIGKILL"] as const)("stops the run when the program is ended by %s", async (signal) => {
      const ids = await leave({}, signal);
      expect(await server.over(ids)).toMatchObject({
        status: "interrupted",
        cancellation: { reason: "client disconnected" },
      });
    });

    it("leaves the run alone when nothing is said", async () => {
      const ids = await leave({ [said]: "", ...shortTask.javascript }, "SIGKILL");
      expect(await server.over(ids)).toMatchObject({ status: "success" });
    });
  });
});
