import type { CancelRequest, RunStore } from "./ports.ts";
import type { Run, RunName } from "./run.ts";
import type { CancelAction } from "./transitions.ts";

export interface CancelChildrenParts {
  readonly runs: Pick<RunStore, "liveChildren">;
  /** As in CancelRuns. */
  readonly cancelAll: (names: readonly RunName[], request: CancelRequest) => Promise<unknown>;
}

/** Children of one look. */
const chunk = 1000;

/**
 * A run that a node has created is cancelled with its parent, unless it says otherwise; so are its own children. Cancels the
 * live children of those runs whose cancel is stored. Done when the cancel has been stored, and again when such a run settles,
 * so that a crash in between loses nothing. Repeatable.
 */
export async function cancelChildren(parts: CancelChildrenParts, parents: readonly Run[]): Promise<void> {
  const cancelled = parents.filter((parent) => parent.cancellation);
  for (let at = 0; at < cancelled.length; at += chunk) await cancelChildrenOf(parts, cancelled.slice(at, at + chunk));
}

async function cancelChildrenOf({ runs, cancelAll }: CancelChildrenParts, parents: readonly Run[]): Promise<void> {
  const byId = new Map(parents.map((parent) => [parent.runId, parent]));
  const seen = new Set<string>();
  for (;;) {
    // A child that executes stays live until it has stopped: what was asked for already is not asked for again.
    const found = await runs.liveChildren(parents, seen.size + chunk);
    const children = found.filter((child) => !seen.has(child.runId));
    const byParent = Map.groupBy(children, (child) => child.parent!.runId);
    for (const [parentId, ofParent] of byParent) {
      await cancelAll(ofParent, requestOfParent(parentId, byId.get(parentId)!.cancellation!.action));
    }
    for (const child of children) seen.add(child.runId);
    if (found.length < seen.size || children.length < chunk) return;
  }
}

/** What a parent's cancel asks for its children. */
export const requestOfParent = (parentId: string, action: CancelAction): CancelRequest => ({
  action,
  reason: "parent run cancelled",
  requestedBy: "parent",
  causeRunId: parentId,
});
