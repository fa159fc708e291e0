import type { CancelRuns } from "./cancel-runs.ts";
import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import type { CancelRequest, RunStore } from "./ports.ts";
import type { Run } from "./run.ts";
import type { MultitaskStrategy } from "./transitions.ts";

export interface SupersedeParts {
  readonly runs: RunStore;
  readonly cancels: CancelRuns;
  readonly finish: FinishRun;
}

/**
 * Double-texting: a run with the strategy INTERRUPT or ROLLBACK cancels the live runs that were created before it. It is
 * stored first, as `clearing`, and cannot start until their cancels are stored; then it waits for its turn like any other.
 */
export interface Supersede {
  /** The live runs that the run is to cancel; none with another strategy. */
  liveBefore(run: Run): Promise<Run[]>;
  /** Cancels them, newest first; then the run waits for nothing but its turn. Repeatable. */
  carryOut(run: Run, live: readonly Run[]): Promise<void>;
  /**
   * A run that was stored only after a later one had looked for those before it cancels itself. Answers it as it is then;
   * undefined when no later run wants that.
   */
  byLater(run: Run): Promise<Run | undefined>;
  /** Does again what a crash has left: the runs that were created before the time and are still clearing. */
  redo(createdBefore: Date): Promise<void>;
}

type Superseding = Extract<MultitaskStrategy, "interrupt" | "rollback">;

export function createSupersede({ runs, cancels, finish }: SupersedeParts): Supersede {
  const liveBefore = async (run: Run) => (strategyOf(run) ? runs.liveBefore(run) : []);

  async function carryOut(run: Run, live: readonly Run[]): Promise<void> {
    const strategy = strategyOf(run);
    if (strategy && live.length > 0) await cancels.cancelAll(live, request(run, strategy));
    // False when it was done before, or the run was cancelled itself.
    if (run.clearing && (await runs.cleared(run))) await finish.promote(run);
  }

  return {
    liveBefore,
    carryOut,

    async byLater(run) {
      const later = (await runs.supersedersOf(run)).filter((one) => strategyOf(one));
      const by = later.find((one) => strategyOf(one) === "rollback") ?? later[0];
      if (!by) return undefined;
      try {
        return await cancels.cancel(run, request(by, strategyOf(by)!));
      } catch (error) {
        // It has come to its end, or is gone, in between.
        if (error instanceof DomainError) return undefined;
        throw error;
      }
    },

    async redo(createdBefore) {
      for (const run of await runs.clearing(createdBefore, 1000)) await carryOut(run, await liveBefore(run));
    },
  };
}

/** Whether the run's strategy cancels those before it. */
export const isSuperseding = (run: Run): boolean => strategyOf(run) !== undefined;

function strategyOf(run: Run): Superseding | undefined {
  const strategy = run.spec.multitaskStrategy;
  return strategy === "interrupt" || strategy === "rollback" ? strategy : undefined;
}

const request = (by: Run, action: Superseding): CancelRequest => ({
  action,
  reason: `superseded by run ${by.runId}`,
  requestedBy: "multitask",
  causeRunId: by.runId,
});
