import type { StoredThread } from "../ports.ts";
import type { Thread } from "../thread.ts";

/** A thread as its users see it. */
export const threadOf = ({ origin, control }: StoredThread): Thread => ({
  owner: origin.owner,
  threadId: origin.threadId,
  journal: origin.journal,
  status: control.status,
  metadata: control.metadata,
  state: control.state,
  opened: origin.opened,
  error: control.error,
  createdAt: new Date(origin.createdAt),
  updatedAt: new Date(control.updatedAt),
  ttlMs: control.ttlMs,
  temporary: control.watchedBy !== undefined,
  removing: control.removing ?? false,
});
