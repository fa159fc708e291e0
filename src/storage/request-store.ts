import type { RequestStore } from "../domain/ports.ts";
import type { RequestName } from "../domain/request-name.ts";
import type { Collections } from "./collections.ts";
import { insertIfFree } from "./insert-each.ts";
import { after, key } from "./keys.ts";

const keptMs = 24 * 60 * 60 * 1000;

const requestKey = ({ owner, requestId }: RequestName): string => key(owner, `create:${requestId}`);

/** Request ids in MongoDB. Everything goes by `_id`. */
export function createRequestStore({ requests }: Pick<Collections, "requests">, now: () => Date): RequestStore {
  function insert(request: Parameters<RequestStore["remember"]>[0], created: boolean): Promise<boolean> {
    const { owner, hash, threadId, runId } = request;
    const expire_at = after(now(), keptMs);
    const ids = { thread_id: threadId, run_id: runId };
    return insertIfFree(requests, { _id: requestKey(request), owner, hash, ...ids, created, expire_at });
  }

  return {
    /** none → remembered. Guard: the id is free. */
    async remember(request) {
      for (;;) {
        if (await insert(request, false)) return { ...request, isMine: true, created: false };
        const there = await requests.findOne({ _id: requestKey(request) });
        if (!there) continue;
        const { hash, thread_id: threadId, run_id: runId, created } = there;
        return { ...request, hash, threadId, runId, created, isMine: false };
      }
    },

    /** remembered → done. */
    async done(request) {
      const update = { $set: { created: true } };
      const { matchedCount } = await requests.updateOne({ _id: requestKey(request), hash: request.hash }, update);
      // It was forgotten meanwhile, by a twin that was refused.
      if (matchedCount === 0) await insert(request, true);
    },

    /** remembered → none. Guard: not done, and still this request's. */
    async forget(request) {
      const { hash, runId } = request;
      await requests.deleteOne({ _id: requestKey(request), hash, run_id: runId, created: false });
    },
  };
}
