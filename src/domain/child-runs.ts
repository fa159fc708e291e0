import { requestOfParent } from "./cancel-children.ts";
import type { CancelRuns } from "./cancel-runs.ts";
import { invalid } from "./check-metadata.ts";
import { DomainError } from "./errors.ts";
import { parentNotFound } from "./not-found.ts";
import type { RunStore } from "./ports.ts";
import type { ParentOfRun, Run } from "./run.ts";

export interface ChildRunsParts {
  readonly runs: Pick<RunStore, "find" | "tombstone">;
  readonly cancels: Pick<CancelRuns, "cancel">;
}

/** Runs that nodes of other runs create. */
export interface ChildRuns {
  /** The parent of a run that is about to be created. Throws RUN_NOT_FOUND, or INVALID_FIELD for one that is over. */
  parentOf(owner: string, parent: ParentOfRun): Promise<Run>;
  /**
   * A child that has just been stored is cancelled when its parent's cancel was stored before the child could be seen. Answers
   * the child as it is then.
   */
  adopted(child: Run): Promise<Run>;
}

export function createChildRuns({ runs, cancels }: ChildRunsParts): ChildRuns {
  return {
    async parentOf(owner, { threadId, runId }) {
      const name = { owner, threadId, runId };
      const run = (await runs.find(name)) ?? (await runs.tombstone(name));
      if (!run) {
        throw parentNotFound(name);
      }
      if (run.phase !== "over" && run.phase !== "rolling_back") return run;
      throw invalid("parent", `run ${runId} is over; only a run that is live creates runs`);
    },

    async adopted(child) {
      if (!child.parent || child.parent.independent) return child;
      const name = { owner: child.owner, ...child.parent };
      const parent = (await runs.find(name)) ?? (await runs.tombstone(name));
      // A live run goes without a trace only when it was stopped for its thread's deletion.
      const action = parent ? parent.cancellation?.action : "interrupt";
      if (!action) return child;
      try {
        return await cancels.cancel(child, requestOfParent(name.runId, action));
      } catch (error) {
        // It is over by itself, or gone.
        if (error instanceof DomainError) return child;
        throw error;
      }
    },
  };
}
