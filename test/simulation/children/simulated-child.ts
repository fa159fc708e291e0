import type { StoredCheckpoint } from "../../../src/checkpoints/journal-port.ts";
import type { AttemptHooks } from "../../../src/worker/attempt-host.ts";
import type { AttemptEnd, AttemptSpec, OutputTuple, StateReport } from "../../../src/worker/protocol.ts";
import type { SimulatedProcess } from "../time/simulated-process.ts";
import type { Timeline } from "../time/timeline.ts";
import type { Executions } from "./executions.ts";
import type { Plan } from "./plan.ts";
import { checkpointAfter, stateReport } from "./simulated-state.ts";

export interface ChildParts {
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly server: SimulatedProcess;
  readonly process: SimulatedProcess;
  readonly executions: Executions;
}

/** Longer than any simulation. */
const endlessMs = 3_600_000;

/** An attempt in its child, which is told to stop by what it finds here. */
export interface Told {
  stop: boolean;
  drain: boolean;
  /** Wakes a node that listens. */
  wake: (() => void) | undefined;
}

/**
 * One execution in a child: reads where the thread stands, goes on from there step by step, and says how it ended when none of
 * its nodes runs any more. All of it is the child's: what it asks of its server crosses from process to process.
 */
export async function execute(
  { timeline, random, server, process, executions }: ChildParts,
  spec: AttemptSpec,
  plan: Plan,
  hooks: AttemptHooks,
  { told, crash }: { told: Told; crash: () => void },
): Promise<AttemptEnd> {
  const { runId, threadId, attempt, attemptId: token } = spec;
  const execution = { runId, threadId, token, attempt, child: process, server };
  executions.begin(execution);
  try {
    const before = await ask(() => hooks.journal.read({ namespace: "" }));
    return await goOn(before);
  } catch (error) {
    const { name, message } = error as Error;
    return { kind: "error", error: { name, message } };
  } finally {
    executions.end(execution);
  }

  async function goOn(before: StoredCheckpoint | undefined): Promise<AttemptEnd> {
    let newest = before;
    const done = before?.metadataFields.run_id === runId ? (before.metadataFields.step as number) + 1 : 0;
    const isAnswer = spec.input === undefined && done === 0;
    if (isAnswer && plan.steps.length === 0) return end("success", newest);
    for (let step = done; step < plan.steps.length; step++) {
      if (told.stop) return end("stopped", newest);
      if (told.drain) return end("drained", newest);
      const { ms, outputs } = plan.steps[step]!;
      if (plan.crashesAt === step && (attempt === 1 || plan.crashesAlways)) await work(ms / 2, false).then(crash);
      await work(plan.isEndless ? endlessMs : ms, !plan.isDeaf);
      if (told.stop) return end("stopped", newest);
      const output = Array.from({ length: outputs }, (_, n): OutputTuple => tupleOf(step, n));
      const stored = outputs > 0 ? ask(() => hooks.output(output)).catch(() => undefined) : undefined;
      const checkpoint = checkpointAfter(newest, spec, step, plan);
      await ask(() =>
        hooks.journal.append({ flushId: checkpoint.checkpointId, checkpoints: [checkpoint], writes: [], segments: [] }),
      );
      await stored;
      newest = { ...checkpoint, writes: [], segmentBytes: {} };
    }
    return plan.end === "error"
      ? { ...end("error", newest), error: { name: "Error", message: "the graph has failed" } }
      : end("success", newest);
  }

  function tupleOf(step: number, n: number): OutputTuple {
    return ["values", "values", [], JSON.stringify(`${attempt}.${step}.${n}`)];
  }

  function end(kind: AttemptEnd["kind"], newest: StoredCheckpoint | undefined): AttemptEnd {
    const state: StateReport | undefined = stateReport(newest);
    return { kind, state };
  }

  /** A node function works; one that listens ends when it is told to stop. */
  function work(ms: number, listens: boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeline.schedule(ms, process, `${runId} works`, resolve, true);
      if (!listens) return;
      told.wake = () => {
        timer.isCancelled = true;
        timeline.schedule(0.5 + random() * 4, process, `${runId} hears`, resolve, true);
      };
      if (told.stop) told.wake();
    });
  }

  /** A question to the server, and its answer. */
  function ask<T>(question: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const back = (settle: () => void) => timeline.schedule(hop(), process, "is answered", settle);
      timeline.schedule(hop(), server, `${process.name} asks`, () => {
        question().then(
          (answer) => back(() => resolve(answer)),
          (error) => back(() => reject(error)),
        );
      });
    });
  }

  function hop(): number {
    return 0.05 + random() * 0.5;
  }
}
