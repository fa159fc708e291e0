import type { ThreadStore } from "../domain/ports.ts";
import { threadOf } from "../domain/thread/view.ts";
import type { Thread } from "../domain/thread.ts";
import type { Collections } from "./collections.ts";
import { threadKey } from "./run-document.ts";
import { type ThreadDocument, toStoredThread } from "./thread-document.ts";
import { createThreadSearch } from "./thread-search.ts";

const toThread = (doc: ThreadDocument): Thread => threadOf(toStoredThread(doc));

/** Threads in MongoDB, as their users see them. `listed`: the same over connections of their own, for searches. */
export function createThreadStore(
  { threads }: Pick<Collections, "threads">,
  listed: Pick<Collections, "threads"> = { threads },
): ThreadStore {
  return {
    ...createThreadSearch(listed.threads, toThread),

    async find(name) {
      const doc = await threads.findOne({ _id: threadKey(name) });
      return doc?.rev === undefined ? undefined : toThread(doc);
    },
  };
}
