import type { FinishRun } from "./finish-run.ts";
import type { RunStore, ThreadStore } from "./ports.ts";
import type { Run } from "./run.ts";

export interface JoinOrderParts {
  readonly runs: Pick<RunStore, "find" | "joinOrder">;
  readonly threads: Pick<ThreadStore, "enter" | "enterDelayed">;
  readonly finish: FinishRun;
  /** A run got its thread's turn: workers should look. */
  readonly turnPassed: () => void;
  /** A run's delay ends then. */
  readonly dueAt: (time: Date) => void;
}

/** A delayed run joins its thread's order when its delay ends; until then it blocks nothing, but counts as live. */
export interface JoinOrder {
  /** What follows when a delayed run has been stored. */
  delayed(run: Run): Promise<void>;
  /**
   * Gives a run whose delay has ended its place in the order, and the turn if that is free. Repeatable, also by several
   * servers at once: a run that was cut short in between has the turn already. False when its thread is about to go.
   */
  join(run: Run): Promise<boolean>;
}

export function createJoinOrder({ runs, threads, finish, turnPassed, dueAt }: JoinOrderParts): JoinOrder {
  return {
    async delayed(run) {
      // Whoever has freed the turn meanwhile did not see this run and has taken the thread for idle.
      await threads.enterDelayed(run, { onlyFree: false });
      // It may have been cancelled before that.
      if ((await runs.find(run))?.phase !== "waiting") await finish.rest(run);
      dueAt(run.dueAt!);
    },

    async join(run) {
      const entry = await threads.enter(run, run.runId, { onlyFree: false });
      if (!entry) return false;
      const { thread, hasTurn } = entry;
      if (!(await runs.joinOrder(run, thread.n, { ready: hasTurn }))) {
        // It was cancelled, or another server was faster: then the turn stays with it.
        if (hasTurn) await finish.confirmTurn(run);
      } else if (hasTurn) turnPassed();
      // The turn may have been freed before this run could be seen waiting.
      else await finish.promote(run);
      return true;
    },
  };
}
