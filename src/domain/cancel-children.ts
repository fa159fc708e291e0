import type { CancelRuns } from "./cancel-runs.ts";
import { invalid } from "./check-metadata.ts";
import { DomainError } from "./errors.ts";
import type { ParentOfRun, Run } from "./run.ts";
import type { CancelRequest, RunStore } from "./stores.ts";
import type { CancelAction } from "./transitions.ts";

export interface CancelChildrenParts {
  readonly runs: Pick<RunStore, "find" | "tombstone" | "liveChildren">;
  readonly cancels: Pick<CancelRuns, "cancel" | "cancelAll">;
}

/** A run that a node has created is cancelled with its parent, unless it says otherwise; so are its own children. */
export interface CancelChildren {
  /** The parent of a run that is about to be created. Throws RUN_NOT_FOUND, or INVALID_FIELD for one that is over. */
  parentOf(owner: string, parent: ParentOfRun): Promise<Run>;
  /**
   * Cancels the live children of those runs whose cancel is stored. Done when the cancel has been stored, and again when such a
   * run settles, so that a crash in between loses nothing. Repeatable.
   */
  cancelChildren(parents: readonly Run[]): Promise<void>;
  /**
   * A child that has just been stored is cancelled when its parent's cancel was stored before the child could be seen. Answers
   * the child as it is then.
   */
  adopted(child: Run): Promise<Run>;
}

/** Children of one look. */
const chunk = 1000;

export function createCancelChildren({ runs, cancels }: CancelChildrenParts): CancelChildren {
  async function cancelChildrenOf(parents: readonly Run[]): Promise<void> {
    const byId = new Map(parents.map((parent) => [parent.runId, parent]));
    const seen = new Set<string>();
    for (;;) {
      // A child that executes stays live until it has stopped: what was asked for already is not asked for again.
      const found = await runs.liveChildren(parents, seen.size + chunk);
      const children = found.filter((child) => !seen.has(child.runId));
      const byParent = Map.groupBy(children, (child) => child.parent!.runId);
      for (const [parentId, ofParent] of byParent) {
        await cancels.cancelAll(ofParent, request(parentId, byId.get(parentId)!.cancellation!.action));
      }
      for (const child of children) seen.add(child.runId);
      if (found.length < seen.size || children.length < chunk) return;
    }
  }

  return {
    async parentOf(owner, { threadId, runId }) {
      const name = { owner, threadId, runId };
      const run = (await runs.find(name)) ?? (await runs.tombstone(name));
      if (!run) {
        throw new DomainError("RUN_NOT_FOUND", `parent: thread ${threadId} has no run ${runId}`, {
          metadata: { field: "parent", run_id: runId, thread_id: threadId },
        });
      }
      if (run.phase !== "over" && run.phase !== "rolling_back") return run;
      throw invalid("parent", `run ${runId} is over; only a run that is live creates runs`);
    },

    async cancelChildren(parents) {
      const cancelled = parents.filter((parent) => parent.cancellation);
      for (let at = 0; at < cancelled.length; at += chunk) await cancelChildrenOf(cancelled.slice(at, at + chunk));
    },

    async adopted(child) {
      if (!child.parent || child.parent.independent) return child;
      const name = { owner: child.owner, ...child.parent };
      const parent = (await runs.find(name)) ?? (await runs.tombstone(name));
      // A live run goes without a trace only when it was stopped for its thread's deletion.
      const action = parent ? parent.cancellation?.action : "interrupt";
      if (!action) return child;
      try {
        return await cancels.cancel(child, request(name.runId, action));
      } catch (error) {
        // It is over by itself, or gone.
        if (error instanceof DomainError) return child;
        throw error;
      }
    },
  };
}

const request = (parentId: string, action: CancelAction): CancelRequest => ({
  ...{ action, reason: "parent run cancelled", requestedBy: "parent", causeRunId: parentId },
});
