import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { CancelAction, CancelOutcome, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import type { Stores } from "../../src/storage/stores.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly runId?: string;
  readonly runIds?: readonly string[];
}

describe("law 10: a child process that dies", () => {
  const lines: LogLine[] = [];
  let app: TestApp;
  let stores: Stores;
  let host: AttemptHost;
  beforeAll(async () => {
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) });
    // A grace and a lease that no test waits for: what is killed here is killed by the test.
    app = await startTestApp({
      log,
      config: { graceMs: 60_000, leaseMs: 60_000 },
      decorate(parts) {
        host = parts.host;
        return parts;
      },
    });
    stores = await openStores(app.db);
  });
  afterAll(() => app.close());

  /** As its thread's lane has it. */
  const entry = async ({ threadId, runId }: Run) =>
    entryOf((await stores.lanes.read({ owner: "", threadId }))!.control, runId);

  /** What the server had to say, for a failure that nobody can repeat. */
  const warnings = () => lines.flatMap(({ level, msg }) => (level >= 40 ? [msg] : [])).join("\n");

  const kill = (pid: number) => process.kill(pid, "SIGKILL");

  async function events(kit: RunKit, run: Run): Promise<RunEvent[]> {
    const found: RunEvent[] = [];
    const stream = kit.client.runs.joinRunStream({ threadId: kit.threadId, runId: run.runId });
    for await (const { events } of stream) found.push(...events);
    return found;
  }

  it.each([
    ["exit", "ProcessCrashed"],
    ["uncaught", "nobody catches this"],
  ])("is retried from its last checkpoint, and is too often dead after three attempts (%s)", async (fault, why) => {
    const kit = await createRunKit(app, "faulty");
    const run = await kit.start({ fault });
    const over = await kit.join(run.runId);
    expect(over.status).toBe(RunStatus.ERROR);
    expect(over.error).toMatchObject({ name: "AttemptsLostError", message: expect.stringContaining(why) as string });
    expect(over.attempt).toBe(3);

    const pids = faults(kit).map((line) => line.split(" ")[1]);
    expect(new Set(pids).size).toBe(3);
    expect((await kit.state()).values).toMatchObject({ log: ["before"] });
    expect((await kit.thread()).error).toMatchObject({ name: "AttemptsLostError" });

    const all = await events(kit, run);
    expect(all.map((event) => Number(event.sequence))).toEqual(all.map((_, i) => i + 1));
    const started = all.flatMap(({ event }) => (event.case === "attemptStarted" ? [event.value] : []));
    expect(started.map((one) => one.attempt)).toEqual([1, 2, 3]);
    const [first, ...later] = started.map((one) => one.checkpointId);
    expect(first).toBe("");
    expect(later[0]).not.toBe("");
    expect(later[1]).toBe(later[0]);
    expect(all.filter(({ event }) => event.case === "ended")).toHaveLength(1);
    kit.gates.remove();
  });

  it("is lost as well when its lease could not be renewed, and ends when that was so three times", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start();
    for (const attempt of [1, 2, 3]) {
      await until(() => kit.gates.pids("a").length === attempt);
      host.renewed(1);
    }
    const over = await kit.join(run.runId);
    expect(over).toMatchObject({ status: RunStatus.ERROR, attempt: 3, error: { name: "AttemptsLostError" } });
    kit.gates.remove();
  });

  it("does not retry a node that throws", async () => {
    const kit = await createRunKit(app, "faulty");
    const over = await kit.join((await kit.start({ fault: "throw" })).runId);
    expect(over).toMatchObject({ status: RunStatus.ERROR, attempt: 1, error: { name: "RangeError" } });
    expect(faults(kit)).toHaveLength(1);
    kit.gates.remove();
  });

  it("goes on where it was, to the end that it would have had", async () => {
    const [disturbed, undisturbed] = [await createRunKit(app), await createRunKit(app)];
    const run = await disturbed.start();
    disturbed.gates.open("a");
    const pid = await disturbed.gates.started("b");
    kill(pid);
    await until(() => disturbed.gates.steps().length === 3);
    disturbed.gates.open();
    expect(await disturbed.join(run.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(disturbed.gates.steps()).toEqual(["a", "b", "b", "c"]);

    undisturbed.gates.open();
    await undisturbed.join((await undisturbed.start()).runId);
    const values = async (kit: RunKit) => ({ ...(await kit.state()).values, dir: "" });
    expect(await values(disturbed)).toEqual(await values(undisturbed));
    expect(await disturbed.history()).toHaveLength((await undisturbed.history()).length);
    for (const kit of [disturbed, undisturbed]) kit.gates.remove();
  });

  it("costs each of its runs an attempt when the culprit cannot be told, and each goes on in a process of its own", async () => {
    const kits = [await createRunKit(app), await createRunKit(app)] as const;
    const runs = [await kits[0].start(), await kits[1].start()] as const;
    const pids = await Promise.all(kits.map((kit) => kit.gates.started("a")));
    expect(new Set(pids).size, warnings()).toBe(1);
    kill(pids[0]!);
    await until(() => kits.every((kit) => kit.gates.steps().length === 2));
    const later = kits.map((kit) => kit.gates.pids("a").at(-1)!);
    expect(new Set([...pids, ...later]).size).toBe(3);
    for (const run of runs) expect(await entry(run)).toMatchObject({ lost: 1, alone: true, attempt: 2 });

    // A process of its own: what happens to one no longer happens to the other.
    kill(later[0]!);
    await until(async () => (await entry(runs[0]))?.attempt === 3);
    expect(await entry(runs[0])).toMatchObject({ lost: 2 });
    expect(await entry(runs[1])).toMatchObject({ lost: 1 });
    kits[1].gates.open();
    expect(await kits[1].join(runs[1].runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    kits[0].gates.open();
    expect(await kits[0].join(runs[0].runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 3 });
    for (const kit of kits) kit.gates.remove();
  });

  it.each([
    ["interrupt", CancelAction.INTERRUPT],
    ["rollback", CancelAction.ROLLBACK],
  ] as const)("ends a run whose cancel is stored as cancelled, and never retries it (%s)", async (name, action) => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { b: "deaf" } });
    kit.gates.open("a");
    const pid = await kit.gates.started("b");
    const name_ = { threadId: kit.threadId, runId: run.runId };
    const answer = await kit.client.runs.cancelRun({ ...name_, action });
    expect(answer.outcome).toBe(CancelOutcome.REQUESTED);
    const waiting = kit.join(run.runId);
    kill(pid);
    const over = await waiting;
    expect(over).toMatchObject({ status: RunStatus.INTERRUPTED, attempt: 1, cancellation: { action } });
    expect(over.cancellation!.outcome).toBe(CancelOutcome.KILLED);
    expect(kit.gates.steps()).toEqual(["a", "b"]);
    expect((await kit.state()).values ?? {}).toEqual(
      name === "interrupt" ? expect.objectContaining({ log: ["a"] }) : {},
    );
    kit.gates.remove();
  });

  it("is not even noticed by an unhandled rejection, whose run the log names", async () => {
    const [faulty, neighbour] = [await createRunKit(app, "faulty"), await createRunKit(app)];
    const quiet = await neighbour.start();
    const pid = await neighbour.gates.started("a");
    const run = await faulty.start({ fault: "unhandled" });
    await faulty.gates.started("fail");
    await until(() => lines.some((line) => line.runId === run.runId && line.msg.includes("nobody awaits this")));
    expect(isAlive(pid)).toBe(true);
    for (const kit of [faulty, neighbour]) kit.gates.open();
    expect(await faulty.join(run.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
    expect(await neighbour.join(quiet.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
    expect(lines.filter((line) => line.msg.includes("nobody awaits this"))).toHaveLength(1);
    for (const kit of [faulty, neighbour]) kit.gates.remove();
  });
});

/** What the faulty agent has noted before each fault: its kind and the process. */
function faults(kit: RunKit): string[] {
  return readFileSync(join(kit.gates.dir, "faults"), "utf8").split("\n").filter(Boolean);
}
