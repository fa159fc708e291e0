import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { capabilities } from "../support/capabilities.ts";
import { installPythonSdk, startPython } from "../support/guide-python.ts";
import { type GuideServer, startGuideServer } from "../support/guide-server.ts";
import { guideChanges, guideLines, shortTask } from "../support/guide-snippets.ts";

const changes = guideChanges.python;

describe.skipIf(!capabilities.python.has())("the guide's lines for Python", () => {
  let python: string;
  let server: GuideServer;
  beforeAll(async () => {
    [python, server] = await Promise.all([installPythonSdk(), startGuideServer()]);
  }, 600_000);
  afterAll(() => server?.stop());
  afterEach(() => server.cancelAll());

  const start = (files: string[], change?: Record<string, string>, holdBefore?: string) => {
    const values = { DEPLOYMENT_URL: JSON.stringify(server.url) };
    return startPython(python, guideLines(["setup.py", ...files], values, change), holdBefore);
  };
  const run = (...args: Parameters<typeof start>) => start(...args).result;

  it("interrupt: get(wait=True) is not in the SDK; as a parameter of the query it waits", async () => {
    const literal = await run(["create-run.py", "interrupt.py"]);
    expect(literal.error).toMatchObject({ type: "TypeError", message: expect.stringContaining("argument 'wait'") });
    expect(await server.over(literal.names.run)).toMatchObject({ status: "interrupted" });

    const working = await run(["create-run.py", "interrupt.py"], changes.get);
    expect(working).toMatchObject({ printed: ["interrupted"], error: null });
  });

  it("rollback: the run is gone", async () => {
    const { printed, names, error } = await run(["create-run.py", "rollback.py"]);
    expect({ printed, error }).toEqual({ printed: ["Run was correctly deleted"], error: null });
    const { thread_id, run_id } = names.run;
    const gone = await server.request("GET", `/threads/${thread_id}/runs/${run_id}`);
    expect(gone).toEqual({ status: 404, body: { detail: "Not Found" } });
    expect((await server.request("GET", `/threads/${thread_id}/runs`)).body).toEqual([]);
  });

  it("rollback without wait: the run is gone as well", async () => {
    const { printed, error } = await run(["create-run.py", "rollback.py"], { ", wait=True": "" });
    expect({ printed, error }).toEqual({ printed: ["Run was correctly deleted"], error: null });
  });

  it("without wait: over when the join answers", async () => {
    const { printed, error } = await run(["create-run.py", "wait.py"]);
    expect(error).toBeNull();
    expect(printed).toEqual([expect.stringMatching(/^(pending|running|interrupted)$/), "interrupted"]);
  });

  it("with wait: over when the cancel answers", async () => {
    const cancel = 'cancel(thread["thread_id"], run["run_id"]';
    const { printed, error } = await run(["create-run.py", "wait.py"], { [`${cancel})`]: `${cancel}, wait=True)` });
    expect({ printed, error }).toEqual({ printed: ["interrupted", "interrupted"], error: null });
  });

  it("many by thread and run ids: the running and the waiting one", async () => {
    const { printed, names, error } = await run(["many-by-ids.py"]);
    expect(error).toBeNull();
    const { run1, run2 } = names;
    expect(printed).toEqual([`${run2!.run_id} interrupted`, `${run1!.run_id} interrupted`]);
  });

  it("many by status: over all threads", async () => {
    const { printed, error } = await run(["many-by-status.py"], {}, "cancel_many");
    expect({ printed, error }).toEqual({ printed: ["interrupted", "interrupted"], error: null });
  });

  it("join and join_stream have no on_disconnect in the SDK", async () => {
    for (const file of ["leave-join.py", "leave-join-stream.py"]) {
      const { error } = await run(["create-run.py", file]);
      const message = expect.stringContaining("unexpected keyword argument 'on_disconnect'");
      expect(error).toMatchObject({ type: "TypeError", message });
    }
  });

  const leaving: [what: string, files: string[], change: Record<string, string>][] = [
    ["wait", ["leave-wait.py"], {}],
    ["stream", ["leave-stream.py"], {}],
    ["join", ["create-run.py", "leave-join.py"], changes.join],
    ["join_stream", ["create-run.py", "leave-join-stream.py"], changes.joinStream],
  ];

  /** Resolves to its run when the server has begun to answer the request that the client then waits for. */
  async function attached(client: ReturnType<typeof start>) {
    await client.printed(/\/(wait|stream|join)(\?\S*)? "HTTP\/1.1 200 OK"/, "stderr");
    return server.running();
  }

  describe.each(leaving)("on disconnect, %s", (_, files, change) => {
    it("stops the run when its task is cancelled", async () => {
      const client = start(files, change);
      const ids = await attached(client);
      process.kill(client.pid, "SIGTERM");
      expect(await server.over(ids)).toMatchObject({
        status: "interrupted",
        cancellation: { reason: "client disconnected" },
      });
      expect((await client.result).error).toMatchObject({ type: "CancelledError" });
    });

    it("stops the run when its process is killed", async () => {
      const client = start(files, change);
      const ids = await attached(client);
      process.kill(client.pid, "SIGKILL");
      expect(await server.over(ids)).toMatchObject({
        status: "interrupted",
        cancellation: { reason: "client disconnected" },
      });
      await client.ended;
    });

    it("leaves the run alone when nothing is said", async () => {
      const client = start(files, { '    on_disconnect="cancel",\n': "", ...shortTask.python });
      const ids = await attached(client);
      process.kill(client.pid, "SIGKILL");
      await client.ended;
      expect(await server.over(ids)).toMatchObject({ status: "success" });
    });
  });
});
