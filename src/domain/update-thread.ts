import { checkMetadata, invalid } from "./check-metadata.ts";
import { threadNotFound } from "./not-found.ts";
import type { ThreadStore } from "./ports.ts";
import type { Act } from "./thread/act.ts";
import { threadOf } from "./thread/view.ts";
import type { Thread, ThreadName } from "./thread.ts";

interface ThreadChange extends ThreadName {
  /** Put over the metadata, field by field at the top. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Fields to be removed; none that is also put. */
  readonly removeMetadata: readonly string[];
  /** 0 for ever; unchanged when undefined. */
  readonly ttlMs?: number;
}

export type UpdateThread = (change: ThreadChange) => Promise<Thread>;

const shortestTtlMs = 1000;

/** Changes what the client keeps beside the thread. Concurrent changes of different fields are all kept. Repeatable. */
export function createUpdateThread(
  { act, threads }: Pick<Act, "act"> & { readonly threads: Pick<ThreadStore, "whole"> },
  maxMetadataBytes?: number,
): UpdateThread {
  return async (change) => {
    const { metadata, removeMetadata } = change;
    checkMetadata(metadata, "metadata", maxMetadataBytes);
    const both = removeMetadata.find((field) => Object.hasOwn(metadata, field));
    if (both !== undefined) throw contradiction(both);
    if (change.ttlMs !== undefined && change.ttlMs > 0 && change.ttlMs < shortestTtlMs)
      throw invalid("ttl", "must be 0, or from 1 s to 10 years");
    const acted = await act(change, {
      kind: "change",
      metadata: { put: metadata, remove: removeMetadata, maxBytes: maxMetadataBytes },
      ttlMs: change.ttlMs === 0 ? null : change.ttlMs,
    });
    if (!acted) throw threadNotFound(change.threadId);
    return threads.whole(threadOf(acted));
  };
}

const contradiction = (field: string) =>
  invalid("remove_metadata", `"${field}" is also in metadata; a field is either put or removed`);
