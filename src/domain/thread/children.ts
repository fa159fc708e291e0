import type { RunStore } from "../ports.ts";
import type { Run, RunName } from "../run/run.ts";
import type { ThreadName } from "../thread.ts";
import type { CancelWish, RequestCancel } from "./commands.ts";

export interface CancelChildrenParts {
  readonly runs: Pick<RunStore, "liveChildren">;
  readonly act: (name: ThreadName, wish: Omit<RequestCancel, "server" | "told">) => Promise<unknown>;
}

/** What its parent was asked for, and by whom. */
type ParentsCancel = Pick<CancelWish, "action" | "actor">;

/** Children of one look. */
const chunk = 1000;

/**
 * A run that a node has created is cancelled with its parent, unless it says otherwise; so are its own children. Done when the
 * cancel has been stored, and again when such a run ends, so that a crash in between loses nothing. Repeatable.
 */
export async function cancelChildren(
  { runs, act }: CancelChildrenParts,
  parent: RunName,
  cancel: ParentsCancel,
): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    // A child that executes stays live until it has stopped: what was asked for already is not asked for again.
    const found = await runs.liveChildren(parent, seen.size + chunk);
    const children = found.filter((child) => !seen.has(child.runId));
    for (const ofThread of Map.groupBy(children, (child) => child.threadId).values()) {
      await cancelOn(ofThread, wishOfParent(parent.runId, cancel));
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
export const wishOfParent = (parentId: string, { action, actor }: ParentsCancel): CancelWish => ({
  action,
  reason: "parent run cancelled",
  by: "parent",
  actor,
  cause: parentId,
});
