import type { RunStore } from "../ports.ts";
import type { Run, RunName } from "../run/run.ts";
import type { ThreadName } from "../thread.ts";
import type { CancelAction } from "../transitions.ts";
import type { CancelWish, RequestCancel } from "./commands.ts";

export interface CancelChildrenParts {
  readonly runs: Pick<RunStore, "liveChildren">;
  readonly act: (name: ThreadName, wish: Omit<RequestCancel, "server" | "told">) => Promise<unknown>;
}

/** Children of one look. */
const chunk = 1000;

/**
 * A run that a node has created is cancelled with its parent, unless it says otherwise; so are its own children. Done when the
 * cancel has been stored, and again when such a run ends, so that a crash in between loses nothing. Repeatable.
 */
export async function cancelChildren(
  { runs, act }: CancelChildrenParts,
  parent: RunName,
  action: CancelAction,
): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    // A child that executes stays live until it has stopped: what was asked for already is not asked for again.
    const found = await runs.liveChildren(parent, seen.size + chunk);
    const children = found.filter((child) => !seen.has(child.runId));
    for (const ofThread of Map.groupBy(children, (child) => child.threadId).values()) {
      await cancelOn(ofThread, wishOfParent(parent.runId, action));
    }
    for (const child of children) seen.add(child.runId);
    if (found.length < seen.size || children.length < chunk) return;
  }

  function cancelOn(children: readonly Run[], wish: CancelWish): Promise<unknown> {
    const { owner, threadId } = children[0]!;
    return act({ owner, threadId }, { kind: "requestCancel", runs: children.map(({ runId }) => runId), wish });
  }
}

/** What a parent's cancel asks for its children. */
export const wishOfParent = (parentId: string, action: CancelAction): CancelWish => ({
  action,
  reason: "parent run cancelled",
  by: "parent",
  cause: parentId,
});
