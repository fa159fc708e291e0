import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { capabilities } from "../support/capabilities.ts";
import { startExample } from "../support/example.ts";
import { type GuideServer, type RunJson, startGuideServer } from "../support/guide-server.ts";
import { guideLines, shortTask } from "../support/guide-snippets.ts";

describe.skipIf(!capabilities.curl.has())("the guide's lines for curl", () => {
  let server: GuideServer;
  let home: string;
  beforeAll(async () => {
    [server, home] = await Promise.all([startGuideServer(), mkdtemp(join(tmpdir(), "reins-curl-"))]);
    // The lines stay as they are; that the tests see the status and the headers too is said here.
    await writeFile(join(home, ".curlrc"), 'silent\nno-buffer\nverbose\nnoproxy = "127.0.0.1"\n');
  });
  afterAll(async () => {
    await server?.stop();
    await rm(home, { recursive: true, force: true });
  });
  afterEach(() => server.cancelAll());

  const start = (line: string) => startExample("bash", ["-c", line], { CURL_HOME: home });

  /** The commands of a file, each as text for a shell. */
  const commands = (file: string, ids: Record<string, string> = {}, changes: Record<string, string> = {}) =>
    guideLines([file], { DEPLOYMENT_URL: server.url, ...ids }, changes).split(/^(?=curl )/m);

  async function curl<T = unknown>(line: string): Promise<{ status: number; body: T }> {
    const { code, stdout, stderr } = await start(line).ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const status = Number(/^< HTTP\/1\.1 (\d+)/m.exec(stderr)?.[1]);
    return { status, body: (stdout === "" ? undefined : JSON.parse(stdout)) as T };
  }

  async function createThread(): Promise<string> {
    const { status, body } = await curl<{ thread_id: string; status: string }>(commands("setup.sh")[0]!);
    expect({ status, body }).toMatchObject({ status: 200, body: { status: "idle" } });
    return body.thread_id;
  }

  async function createRun(): Promise<{ THREAD_ID: string; RUN_ID: string }> {
    const THREAD_ID = await createThread();
    const { status, body } = await curl<RunJson>(commands("create-run.sh", { THREAD_ID })[0]!);
    expect(status).toBe(200);
    return { THREAD_ID, RUN_ID: body.run_id };
  }

  it("interrupt", async () => {
    const [cancel, get] = commands("interrupt.sh", await createRun());
    expect(cancel).toMatch(/cancel\?wait=true\n/);
    expect(await curl(cancel!)).toMatchObject({ status: 200, body: { __cancelled__: { action: "interrupt" } } });
    expect(await curl(get!)).toMatchObject({ status: 200, body: { status: "interrupted" } });
  });

  it("rollback", async () => {
    const [cancel, get] = commands("rollback.sh", await createRun());
    expect(await curl(cancel!)).toEqual({ status: 202, body: undefined });
    expect(await curl(get!)).toEqual({ status: 404, body: { detail: "Not Found" } });
  });

  it("rollback with wait", async () => {
    const [cancel, get] = commands("rollback.sh", await createRun(), {
      "action=rollback": "action=rollback&wait=true",
    });
    expect(await curl(cancel!)).toMatchObject({ status: 200, body: { __cancelled__: { action: "rollback" } } });
    expect(await curl(get!)).toEqual({ status: 404, body: { detail: "Not Found" } });
  });

  it("without wait", async () => {
    const ids = await createRun();
    const [cancel, get] = commands("wait.sh", ids);
    expect(await curl(cancel!)).toEqual({ status: 202, body: undefined });
    const { status, body } = await curl<RunJson>(get!);
    expect(status).toBe(200);
    expect(body.status).toMatch(/^(pending|running|interrupted)$/);
    await server.over({ thread_id: ids.THREAD_ID, run_id: ids.RUN_ID });
    expect(await curl(get!)).toMatchObject({ status: 200, body: { status: "interrupted" } });
  });

  it("many by thread and run ids", async () => {
    const THREAD_ID = await createThread();
    const ids: Record<string, string> = { THREAD_ID, RUN_ID_1: "", RUN_ID_2: "" };
    for (const place of [1, 2]) {
      const { status, body } = await curl<RunJson>(commands("many-by-ids.sh", ids)[place - 1]!);
      expect(status).toBe(200);
      ids[`RUN_ID_${place}`] = body.run_id;
    }
    const [, , cancel, list] = commands("many-by-ids.sh", ids);
    expect(await curl(cancel!)).toEqual({ status: 204, body: undefined });
    expect(await curl(list!)).toMatchObject({
      status: 200,
      body: [
        { run_id: ids.RUN_ID_2, status: "interrupted" },
        { run_id: ids.RUN_ID_1, status: "interrupted" },
      ],
    });
  });

  it("many by status", async () => {
    const ids = { THREAD_ID: await createThread(), RUN_ID_1: "", RUN_ID_2: "", THREAD_ID_2: "" };
    const nth = (place: number) => commands("many-by-status.sh", ids)[place]!;
    const first = await curl<RunJson>(nth(0));
    ids.RUN_ID_1 = first.body.run_id;
    ids.THREAD_ID_2 = (await curl<RunJson>(nth(1))).body.thread_id;
    const second = await curl<RunJson>(nth(2));
    ids.RUN_ID_2 = second.body.run_id;
    await server.isRunning(first.body);
    await server.isRunning(second.body);
    expect(await curl(nth(3))).toEqual({ status: 204, body: undefined });
    expect(await curl(nth(4))).toMatchObject({ status: 200, body: { run_id: ids.RUN_ID_1, status: "interrupted" } });
    expect(await curl(nth(5))).toMatchObject({ status: 200, body: { run_id: ids.RUN_ID_2, status: "interrupted" } });
    expect(await curl(nth(3))).toEqual({ status: 404, body: { detail: "No runs found to cancel." } });
  });

  /** What of the lines says that leaving is to stop the run. */
  const leaving: [what: string, file: string, said: string][] = [
    ["wait", "leave-wait.sh", ', "on_disconnect": "cancel"'],
    ["stream", "leave-stream.sh", "?on_disconnect=cancel"],
    ["join", "leave-join.sh", "?cancel_on_disconnect=cancel"],
    ["join-stream", "leave-join-stream.sh", "?cancel_on_disconnect=cancel"],
  ];

  describe.each(leaving)("on disconnect, %s", (what, file, said) => {
    /** Starts the line, kills it when the server has begun to answer, and resolves to its run's end. */
    async function leave(changes: Record<string, string>, signal: "SIGTERM" | "SIGKILL"): Promise<RunJson> {
      const isJoin = what.startsWith("join");
      const { THREAD_ID, RUN_ID } = isJoin ? await createRun() : { THREAD_ID: await createThread(), RUN_ID: "" };
      const ids: Record<string, string> = isJoin ? { THREAD_ID, RUN_ID } : { THREAD_ID };
      const client = start(commands(file, ids, changes)[0]!);
      await client.printed(/^< HTTP\/1\.1 200 /m, "stderr");
      const run = await server.running();
      process.kill(client.pid, signal);
      await client.ended;
      return server.over(run);
    }

    it.each(["SIGTERM", "SIGKILL"] as const)("stops the run when curl is ended by %s", async (signal) => {
      expect(await leave({}, signal)).toMatchObject({
        status: "interrupted",
        cancellation: { reason: "client disconnected" },
      });
    });

    it("leaves the run alone when nothing is said", async () => {
      const short = what.startsWith("join") ? {} : shortTask.python;
      expect(await leave({ [said]: "", ...short }, "SIGKILL")).toMatchObject({ status: "success" });
    });
  });

  it("goes on after an interrupt where the run was stopped", async () => {
    const ids = await createRun();
    await curl(commands("interrupt.sh", ids)[0]!);
    const [resume] = commands(
      "create-run.sh",
      { THREAD_ID: ids.THREAD_ID },
      {
        "/runs ": "/runs/wait ",
        '{"messages": [{"role": "user", "content": "Summarize the docs"}]}': "null",
      },
    );
    const { status, body } = await curl<{ messages: { content: string }[] }>(resume!);
    expect(status).toBe(200);
    expect(body.messages.filter(({ content }) => content === "Summarize the docs")).toHaveLength(1);
    expect(body.messages.at(-1)!.content).toContain("I have read 3 notes");
  });
});
