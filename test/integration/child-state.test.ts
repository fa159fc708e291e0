import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChildParent, graph, json, linesOf, MemoryJournal, until } from "../support/child.ts";

const folder = mkdtempSync(join(tmpdir(), "reins-child-state-"));
const names = ["line", "inSubgraph", "asks", "fails"];
let child: ChildParent;
let journal: MemoryJournal;
let file: string;

beforeEach(async () => {
  child = new ChildParent();
  journal = new MemoryJournal();
  file = join(folder, crypto.randomUUID());
  const reports = await child.load(...names.map((name) => graph("steps.ts", name)));
  expect(reports.filter((report) => report.problem !== undefined)).toEqual([]);
});
afterEach(() => child.stop());
afterAll(() => rmSync(folder, { recursive: true }));

const input = (ms: number) => JSON.stringify({ file, ms });
const valuesOf = (state: { readonly values?: string } | undefined) => JSON.parse(state?.values ?? "null");

describe("an attempt that goes on from a checkpoint", () => {
  it.each(names.slice(0, 2))("reaches the end of an uninterrupted one, in another process too: %s", async (name) => {
    const whole = await child.start(name, { input: input(1) }).end;
    const steps = linesOf(file);
    file = join(folder, crypto.randomUUID());

    const attempt = child.start(name, { input: input(400), journal });
    await until(() => linesOf(file).length === 2);
    attempt.abort();
    const stopped = await attempt.end;
    expect(stopped.kind).toBe("stopped");
    expect(stopped.state?.next).not.toEqual([]);
    await child.stop();

    child = new ChildParent();
    await child.load(graph("steps.ts", name));
    const end = await child.start(name, { journal }).end;
    expect(end.kind).toBe("success");
    expect(valuesOf(end.state).log).toEqual(valuesOf(whole.state).log);
    // Only the interrupted step was taken twice.
    expect(linesOf(file)).toEqual(steps.toSpliced(2, 0, steps[1]!));
  });

  it("takes the same input of the same run for a resume", async () => {
    const runId = crypto.randomUUID();
    const attempt = child.start("line", { runId, input: input(300), journal });
    await until(() => linesOf(file).length === 2);
    attempt.abort();
    await attempt.end;
    const end = await child.start("line", { runId, attempt: 2, input: input(300), journal }).end;
    expect(valuesOf(end.state).log).toEqual(["a", "b", "c"]);
    expect(linesOf(file)).toEqual(["a", "b", "b", "c"]);
  });

  it("drained stops at the step's end, and goes on without repeating a step", async () => {
    const attempt = child.start("line", { input: input(200), journal });
    await until(() => linesOf(file).length === 1);
    attempt.drain();
    const drained = await attempt.end;
    expect(drained).toMatchObject({ kind: "drained", state: { next: ["b"] } });
    await child.start("line", { journal }).end;
    expect(linesOf(file)).toEqual(["a", "b", "c"]);
  });

  it("starts from an older checkpoint, and refuses one that does not exist", async () => {
    await child.start("line", { input: input(1), journal }).end;
    const history = await child.inspect(journal, { kind: "history", graph: "line", limit: 10, omitValues: true });
    const beforeC = history.find(({ next }) => next[0] === "c");
    const end = await child.start("line", { checkpointId: beforeC?.checkpointId, journal }).end;
    expect(valuesOf(end.state).log).toEqual(["a", "b", "c"]);
    expect(linesOf(file)).toEqual(["a", "b", "c", "c"]);
    const unknown = await child.start("line", { checkpointId: crypto.randomUUID(), journal }).end;
    expect(unknown).toMatchObject({ kind: "error", error: { name: "CheckpointNotFound" } });
  });
});

describe("how an attempt ends", () => {
  it("an interrupt is a success with its question; a command answers it", async () => {
    const asked = await child.start("asks", { input: "{}", streamModes: ["updates"], journal }).end;
    expect(asked).toMatchObject({
      kind: "success",
      state: { next: ["ask"], interrupts: [{ id: expect.stringMatching(/./), value: '{"question":"why?"}' }] },
    });
    const answered = child.start("asks", { command: { resume: '"because"' }, journal });
    expect(valuesOf((await answered.end).state).log).toEqual(["because"]);
  });

  it("an error of a node, by its class's name; the state is that of the last completed step", async () => {
    const end = await child.start("fails", { input: input(1), journal }).end;
    expect(end).toMatchObject({ kind: "error", error: { name: "Boom", message: "failing at step 1" } });
    expect(end.state?.next).toEqual(["fail"]);
    expect(end.state?.tasks[0]?.error).toContain("failing at step 1");
    expect(valuesOf(end.state).log).toEqual(["first"]);
  });

  it("pauses before a node when asked to, a limit of steps is an error", async () => {
    const paused = await child.start("line", { input: input(1), interruptBefore: ["c"] }).end;
    expect(paused).toMatchObject({ kind: "success", state: { next: ["c"] } });
    const each = await child.start("line", { input: input(1), interruptAfter: ["*"] }).end;
    expect(each).toMatchObject({ kind: "success", state: { next: ["b"] } });
    const limited = await child.start("line", { input: input(1), config: { tags: [], recursionLimit: 2 } }).end;
    expect(limited).toMatchObject({ kind: "error", error: { name: "GraphRecursionError" } });
  });

  it("pauses before or after a node of a subgraph, and goes on from there", async () => {
    for (const [pause, taken] of [
      [{ interruptBefore: ["y"] }, ["before", "x"]],
      [{ interruptAfter: ["x"] }, ["before", "x"]],
      [{ interruptBefore: ["x"] }, ["before"]],
    ] as const) {
      journal = new MemoryJournal();
      file = join(folder, crypto.randomUUID());
      const paused = await child.start("inSubgraph", { input: input(1), journal, ...pause }).end;
      expect(paused).toMatchObject({ kind: "success", state: { next: ["sub"] } });
      expect(linesOf(file)).toEqual(taken);
      const end = await child.start("inSubgraph", { journal }).end;
      expect(end).toMatchObject({ kind: "success", state: { next: [] } });
      expect(linesOf(file)).toEqual(["before", "x", "y"]);
    }
  });

  it("keeps with durability exit what was completed when it was aborted", async () => {
    const attempt = child.start("line", { input: input(300), durability: "exit", journal });
    await until(() => linesOf(file).length === 2);
    attempt.abort();
    const end = await attempt.end;
    expect(end).toMatchObject({ kind: "stopped", state: { next: ["b"] } });
    expect(valuesOf(end.state).log).toEqual(["a"]);
  });
});

describe("looking at a thread", () => {
  it("without a checkpoint: an empty state and no history", async () => {
    const empty = { checkpointNs: "", next: [], tasks: [], interrupts: [] };
    expect(await child.inspect(journal, { kind: "state", graph: "line", omitValues: false })).toEqual([empty]);
    const unknown = { kind: "state", graph: "line", checkpointId: crypto.randomUUID(), omitValues: false } as const;
    expect(await child.inspect(journal, unknown)).toEqual([empty]);
    expect(await child.inspect(journal, { kind: "history", graph: "line", limit: 5, omitValues: false })).toEqual([]);
  });

  it("the newest state, an older one, and the history newest first", async () => {
    const runId = crypto.randomUUID();
    await child.start("line", { runId, input: input(1), metadata: '{"who":"me"}', journal }).end;
    const [newest] = await child.inspect(journal, { kind: "state", graph: "line", omitValues: false });
    expect(newest).toMatchObject({ next: [], checkpointNs: "", createdAt: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(JSON.parse(newest?.metadata as string)).toMatchObject({ source: "loop", step: 3, run_id: runId, who: "me" });

    const history = await child.inspect(journal, { kind: "history", graph: "line", limit: 10, omitValues: false });
    expect(history.map(({ next }) => next)).toEqual([[], ["c"], ["b"], ["a"], ["__start__"]]);
    expect(history[0]).toEqual(newest);
    expect(history[0]?.parentCheckpointId).toBe(history[1]?.checkpointId);

    const at = { kind: "state", graph: "line", checkpointId: history[2]?.checkpointId, omitValues: true } as const;
    const [older] = await child.inspect(journal, at);
    expect(older).toMatchObject({ checkpointId: history[2]?.checkpointId, next: ["b"] });
    expect(older).not.toHaveProperty("values");

    const before = { kind: "history", graph: "line", limit: 2, beforeCheckpointId: history[1]?.checkpointId } as const;
    const page = await child.inspect(journal, { ...before, omitValues: true });
    expect(page.map(({ checkpointId }) => checkpointId)).toEqual(
      history.slice(2, 4).map((state) => state.checkpointId),
    );
  });

  it("names the subgraph's checkpoints of a task that waits in one", async () => {
    const attempt = child.start("inSubgraph", { input: input(300), streamModes: ["custom"], journal });
    await until(() => linesOf(file).includes("x"));
    attempt.abort();
    const { state } = await attempt.end;
    expect(state?.tasks).toMatchObject([{ name: "sub", checkpoint: { checkpointNs: expect.stringMatching(/^sub:/) } }]);
    expect(json(attempt.events, "custom")).toEqual([]);
  });
});
