import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, MultitaskStrategy, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorInfo, fromPayload } from "../../src/client/index.ts";
import { entryInLane } from "../support/decisions.ts";
import { dump, mentions } from "../support/dump.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What the live run of a thread is doing when somebody texts again. */
const oldStates = [
  "pending behind another",
  "running and polite",
  "running and slow to stop",
  "being cancelled with interrupt",
  "being cancelled with rollback",
  "running and deaf",
  "running a busy loop",
] as const;
type OldState = (typeof oldStates)[number];

const strategies = ["ENQUEUE", "REJECT", "INTERRUPT", "ROLLBACK"] as const;
type Strategy = (typeof strategies)[number];
const creates = [1, 2] as const;
const matrix = strategies.flatMap((strategy) =>
  oldStates.flatMap((state) => creates.map((count) => [strategy, state, count] as const)),
);

/** Only the end of the grace stops these. */
const isKilled = (state: OldState) => state === "running and deaf" || state === "running a busy loop";
const manners = { "running and polite": "polite", "running a busy loop": "busy" } as Partial<Record<OldState, string>>;

interface End {
  readonly status: "success" | "interrupted" | "gone";
  /** Who asked for the cancel; `multitask` in the name of one of the new runs. */
  readonly by?: "client" | "multitask";
  readonly outcome?: "never_started" | "stopped" | "killed";
}

/** How the old run must end. */
function oldEnd(strategy: Strategy, state: OldState): End {
  const outcome = state === "pending behind another" ? "never_started" : isKilled(state) ? "killed" : "stopped";
  if (state === "being cancelled with rollback") return { status: "gone", by: "client", outcome };
  if (strategy === "ROLLBACK") return { status: "gone", by: "multitask", outcome };
  if (state === "being cancelled with interrupt") return { status: "interrupted", by: "client", outcome };
  return strategy === "INTERRUPT" ? { status: "interrupted", by: "multitask", outcome } : { status: "success" };
}

interface Stored {
  readonly n: number;
  readonly status: string;
  readonly cancel: { action: string; reason: string; requested_by: string; cause: string | null; outcome: string };
}

describe(`double-texting: ${matrix.length} cases`, () => {
  /** One that waits for a slow run for as long as it takes, and one that soon loses its patience. */
  let patient: TestApp;
  let impatient: TestApp;
  beforeAll(async () => {
    const config = { leaseMs: 200_000, pollMs: 60_000 };
    [patient, impatient] = await Promise.all([
      startTestApp({ config: { ...config, graceMs: 600_000 } }),
      startTestApp({ config: { ...config, graceMs: 200 } }),
    ]);
  });
  afterAll(() => Promise.all([patient.close(), impatient.close()]));

  const stored = async (app: TestApp, { runId }: Run): Promise<{ run?: Stored; last?: Stored }> => {
    const find = async (name: string) => (await app.db.collection<{ _id: string }>(name).findOne({ _id: runId })) ?? {};
    const [run, last] = (await Promise.all([find("runs"), find("tombstones")])) as unknown as Stored[];
    return { run: run?.status === undefined ? undefined : run, last: last?.status === undefined ? undefined : last };
  };

  /** As its record has it. */
  const isTold = async (app: TestApp, run: Run) => {
    const now = (await stored(app, run)).run;
    return now === undefined || !["pending", "running"].includes(now.status);
  };

  /** As its lane has it, which its record follows. */
  const isOver = async (app: TestApp, run: Run) =>
    (await entryInLane(app.db, run))?.phase === "over" || isTold(app, run);

  /** A thread with a finished run, a run that has done o1 and is at o2 (or waits behind that one), and what it is to be. */
  async function stage(app: TestApp, state: OldState) {
    const kit = await createRunKit(app);
    for (const step of ["early", "o1"]) kit.gates.open(step);
    const early = await kit.join((await kit.start({ steps: ["early"] })).runId);
    const first = await kit.start({ steps: ["o1", "o2"], manners: { o2: manners[state] ?? "deaf" } });
    const pid = await kit.gates.started("o2");
    const name = { threadId: kit.threadId, runId: first.runId };
    if (state === "being cancelled with interrupt") await app.client.runs.cancelRun(name);
    if (state === "being cancelled with rollback") {
      await app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK });
    }
    if (state !== "pending behind another") return { kit, early, pid, blocker: undefined, old: first };
    kit.gates.open("o3");
    return { kit, early, pid, blocker: first, old: await kit.start({ steps: ["o3"] }) };
  }

  /** The new runs that were accepted, by their numbers. */
  async function text(app: TestApp, kit: RunKit, strategy: Strategy, count: number) {
    const spec = { multitaskStrategy: MultitaskStrategy[strategy] };
    const steps = ["n1", "n2"].slice(0, count);
    const answers = await Promise.allSettled(
      steps.map(async (step) => ({ step, run: await kit.start({ steps: [step] }, spec) })),
    );
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as ConnectError] : []));
    const accepted = await Promise.all(
      answers
        .flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []))
        .map(async (one) => {
          const [entry, { run, last }] = await Promise.all([entryInLane(app.db, one.run), stored(app, one.run)]);
          return { ...one, n: entry?.n ?? (run ?? last)!.n };
        }),
    );
    return { refused, accepted: accepted.sort((a, b) => a.n - b.n) };
  }

  async function expectEnd(app: TestApp, kit: RunKit, run: Run, end: End, causes: readonly Run[]) {
    await until(() => isTold(app, run));
    const { run: record, last } = await stored(app, run);
    expect((record ?? { status: "gone" }).status).toBe(end.status);
    if (end.status === "success") return expect(record!.cancel).toBeNull();
    const { cancel } = (record ?? last)!;
    expect(cancel).toMatchObject({
      action: end.status === "gone" ? "rollback" : "interrupt",
      requested_by: end.by,
      outcome: end.outcome ?? expect.stringMatching(/^(never_started|stopped)$/),
    });
    if (end.by === "multitask") {
      expect(causes.map(({ runId }) => runId)).toContain(cancel.cause);
      expect(cancel.reason).toBe(`superseded by run ${cancel.cause}`);
    } else {
      expect(cancel.cause).toBeNull();
    }
    if (end.status === "gone") {
      await expect(kit.get(run.runId)).rejects.toMatchObject({ code: Code.NotFound });
      expect(mentions(await dump(app.db, { threadId: kit.threadId }), run.runId)).toEqual([]);
      return;
    }
    const { cancellation } = await kit.get(run.runId);
    expect(cancellation).toMatchObject({ requestedBy: end.by, causeRunId: cancel.cause ?? "" });
  }

  /** The checkpoint that an execution of the run went on from. */
  async function startedOn(app: TestApp, { threadId, runId }: Run): Promise<string> {
    for await (const { events } of app.client.runs.joinRunStream({ threadId, runId })) {
      for (const { event } of events) if (event.case === "attemptStarted") return event.value.checkpointId;
    }
    throw new Error("the run was never executed");
  }

  it.each(matrix)("%s, with a run %s, %i at once", { timeout: 60_000 }, async (strategy, state, count) => {
    const cancels = strategy === "INTERRUPT" || strategy === "ROLLBACK";
    const app = cancels && isKilled(state) ? impatient : patient;
    const { kit, early, pid, blocker, old } = await stage(app, state);
    const { gates, threadId } = kit;
    const { accepted, refused } = await text(app, kit, strategy, count);
    expect([accepted.length, refused.length]).toEqual(strategy === "REJECT" ? [0, count] : [count, 0]);
    for (const error of refused) {
      const live = [old, ...(blocker ? [blocker] : [])].map(({ runId }) => runId);
      expect([error.code, errorInfo(error)!.reason]).toEqual([Code.Aborted, "THREAD_BUSY"]);
      expect(live).toContain(errorInfo(error)!.metadata.run_id);
    }

    // Nobody starts beside a run that is not over, however long that takes.
    const isSlow = app === patient && !(cancels && (manners[state] === "polite" || state === "pending behind another"));
    if (isSlow || blocker) {
      const beats = gates.beats();
      if (!(await isOver(app, blocker ?? old))) await until(() => gates.beats() > beats + 15 || !isSlow);
      if (isSlow) expect(accepted.some(({ step }) => gates.hasStarted(step))).toBe(false);
      gates.open("o2");
    }

    const winner = accepted.at(-1);
    const superseded = cancels ? accepted.slice(0, -1) : [];
    if (!cancels) for (const { step } of accepted) gates.open(step);
    if (winner) {
      await gates.started(winner.step);
      const before = [...(blocker ? [blocker] : []), old, ...accepted.slice(0, -1).map(({ run }) => run)];
      for (const run of before) expect(await isOver(app, run)).toBe(true);
      if (cancels && isKilled(state)) expect(isAlive(pid)).toBe(false);
      gates.open(winner.step);
      expect((await kit.join(winner.run.runId)).status).toBe(RunStatus.SUCCESS);
    }
    await until(async () => (await kit.thread()).status !== ThreadStatus.BUSY);
    // A rolled back run's record goes after the turn that it had.
    await until(() => isOver(app, old));

    const news = accepted.map(({ run }) => run);
    const end = oldEnd(strategy, state);
    await expectEnd(app, kit, old, end, news);
    if (blocker) {
      const blockerEnd: End = end.status === "success" ? end : { ...end, outcome: "stopped" };
      await expectEnd(app, kit, blocker, blockerEnd, news);
    }
    for (const { run } of superseded) {
      const status = strategy === "ROLLBACK" ? "gone" : "interrupted";
      await expectEnd(app, kit, run, { status, by: "multitask" }, [winner!.run]);
    }

    // The state is what the runs that count have left, in their order, and no two steps overlapped.
    const isKept = end.status !== "gone";
    const oldSteps = end.status === "success" ? ["o1", "o2", ...(blocker ? ["o3"] : [])] : isKept ? ["o1"] : [];
    const newSteps = accepted.filter((one) => !superseded.includes(one)).map(({ step }) => step);
    const { values, next } = await kit.state();
    expect(values!.log).toEqual(["early", ...oldSteps, ...newSteps]);
    const isLeftOpen = newSteps.length === 0 && end.status === "interrupted";
    const thread = await kit.thread();
    expect([thread.status, next]).toEqual(isLeftOpen ? [ThreadStatus.INTERRUPTED, ["step"]] : [ThreadStatus.IDLE, []]);
    // What the thread remembers is that state, and a run that was stopped is no error of it.
    expect([fromPayload(thread.values), thread.error]).toEqual([values, undefined]);
    if (winner && cancels) {
      const left = blocker ?? old;
      const base = isKept ? (await kit.get(left.runId)).endCheckpointId : early.endCheckpointId;
      expect(await startedOn(app, { ...winner.run, threadId } as Run)).toBe(base);
    }
    const order = gates
      .spans()
      .filter((span) => span.startsWith("begin"))
      .map((span) => span.slice(6));
    const expected = ["early", "o1", "o2", ...(oldSteps.includes("o3") ? ["o3"] : []), ...newSteps];
    expect(order.filter((step) => !superseded.some((one) => one.step === step))).toEqual(expected);
    const spans = gates.spans();
    for (const [at, span] of spans.entries())
      if (span.startsWith("end")) expect(spans[at - 1]).toBe(`begin${span.slice(3)}`);
    gates.remove();
  });
});
