import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { enumName } from "../../src/client/index.ts";
import type { Manner } from "../agents/gate.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit } from "../support/run-kit.ts";
import { attachWatchers, type Learned, learned } from "../support/run-watchers.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What goes on at the same time, besides the cancels. */
interface Storm {
  readonly manner: Manner;
  readonly interrupts: number;
  readonly rollbacks: number;
  readonly deletes: number;
  /** The step's gate is opened: the run comes to its end. */
  readonly completes: boolean;
  /** The process of the run is killed from outside. */
  readonly crashes: boolean;
}

const calm: Storm = { manner: "polite", interrupts: 0, rollbacks: 0, deletes: 0, completes: false, crashes: false };

const storms: readonly (readonly [string, Storm])[] = [
  ["interrupts", { ...calm, interrupts: 8 }],
  ["rollbacks", { ...calm, rollbacks: 8 }],
  ["both", { ...calm, interrupts: 5, rollbacks: 5 }],
  ["both, of a deaf node", { ...calm, manner: "deaf", interrupts: 5, rollbacks: 5 }],
  ["interrupts and the end", { ...calm, interrupts: 4, completes: true }],
  ["rollbacks and the end, of a deaf node", { ...calm, manner: "deaf", rollbacks: 4, completes: true }],
  ["both, a delete and the end", { ...calm, interrupts: 3, rollbacks: 3, deletes: 1, completes: true }],
  ["deletes", { ...calm, deletes: 4 }],
  ["deletes and the end", { ...calm, deletes: 3, completes: true }],
  ["interrupts and a crash", { ...calm, interrupts: 4, crashes: true }],
  ["both and a crash, of a busy node", { ...calm, manner: "busy", interrupts: 3, rollbacks: 3, crashes: true }],
  [
    "both, deletes, the end and a crash",
    { ...calm, interrupts: 2, rollbacks: 2, deletes: 2, completes: true, crashes: true },
  ],
];

describe("law 4: one outcome for everybody", () => {
  const points = createHoldPoints();
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 500 }, decorate: points.decorate });
  });
  afterAll(() => app.close());

  it.each(storms)("of %s at the same time", async (_, storm) => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start({ steps: ["a"], manners: { a: storm.manner } });
    const name = { threadId: kit.threadId, runId };
    const pid = await kit.gates.started("a");
    const watchers = await attachWatchers(app.client, name, () => points.lookups(runId));

    const { runs } = app.client;
    const cancel = (action: CancelAction) => runs.cancelRun({ ...name, action, wait: true });
    const interrupts = Array.from({ length: storm.interrupts }, () => cancel(CancelAction.INTERRUPT));
    const rollbacks = Array.from({ length: storm.rollbacks }, () => cancel(CancelAction.ROLLBACK));
    const deletes = Array.from({ length: storm.deletes }, () => runs.deleteRun(name));
    if (storm.crashes) process.kill(pid, "SIGKILL");
    if (storm.completes) kit.gates.open();

    // At once: one that is refused must not be without somebody who hears of it.
    const allTold = Promise.all([interrupts, rollbacks, deletes].map((calls) => Promise.allSettled<unknown>(calls)));
    const told: Learned[] = await watchers.ended();
    await allTold;
    const [first] = told;
    for (const one of told) expect(one).toEqual(first);
    for (const answer of await Promise.allSettled([...interrupts, ...rollbacks])) {
      if (answer.status === "fulfilled") expect(learned(answer.value.run!)).toEqual(first);
      else expectTooLate(answer.reason, first!);
    }
    for (const answer of await Promise.allSettled(deletes)) {
      if (answer.status === "rejected") expect(ConnectError.from(answer.reason).code).toBe(Code.NotFound);
    }
    // An interrupt may have been the end before the first rollback was stored; each of those was refused then.
    const isAccepted = (await Promise.allSettled(rollbacks)).some(({ status }) => status === "fulfilled");
    if (isAccepted) expect(first!.action).toBe(CancelAction.ROLLBACK);
    await expectRecord(name, first!, storm);
    // The thread is free for the next run.
    kit.gates.open();
    const next = await kit.start({ steps: ["b"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  /** A cancel that came when the outcome was there already. */
  function expectTooLate(error: unknown, outcome: Learned): void {
    const { code, message } = ConnectError.from(error);
    if (code === Code.FailedPrecondition) expect(message).toContain(enumName(RunStatus, outcome.status));
    else expect(code).toBe(Code.NotFound);
  }

  async function expectRecord(name: { threadId: string; runId: string }, outcome: Learned, storm: Storm) {
    const record = await app.client.runs.getRun(name).then(
      ({ run }) => learned(run!),
      (error: unknown) => ConnectError.from(error).code,
    );
    const isGone = outcome.action === CancelAction.ROLLBACK || storm.deletes > 0;
    expect(record).toEqual(isGone ? Code.NotFound : outcome);
    if (!storm.completes) expect(outcome.status).toBe(RunStatus.INTERRUPTED);
  }
});
