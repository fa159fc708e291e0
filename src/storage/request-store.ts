import type { RequestStore } from "../domain/ports.ts";
import type { IdentifiedRequest, RequestName } from "../domain/run/request-name.ts";
import type { Collections } from "./collections.ts";
import type { RequestDocument } from "./documents.ts";
import { insertIfFree } from "./insert-each.ts";
import { after, key } from "./keys.ts";

const keptMs = 24 * 60 * 60 * 1000;

const requestKey = ({ owner, requestId }: RequestName): string => key(owner, `create:${requestId}`);

/** Request ids in MongoDB. Everything goes by `_id`. */
export function createRequestStore({ requests }: Pick<Collections, "requests">, now: () => Date): RequestStore {
  function documentOf(request: IdentifiedRequest): RequestDocument {
    const { owner, hash, threadId, runId } = request;
    const ids = { thread_id: threadId, run_id: runId };
    return { _id: requestKey(request), owner, hash, ...ids, created: false, expire_at: after(now(), keptMs) };
  }

  return {
    /** none, or another that was refused → remembered. Guard: the id is free, or still that one's. */
    async remember(request) {
      for (;;) {
        const document = documentOf(request);
        if (await insertIfFree(requests, document)) return { ...request, isMine: true, created: false };
        const { _id } = document;
        const there = await requests.findOne({ _id });
        if (!there) continue;
        const { hash, thread_id: threadId, run_id: runId, created } = there;
        const earlier = { ...request, hash, threadId, runId, created, isMine: false };
        if (hash !== request.hash) {
          if (!there.refused || created) return earlier;
          const { matchedCount } = await requests.replaceOne({ _id, hash, refused: true, created }, document);
          if (matchedCount === 1) return { ...request, isMine: true, created: false };
          continue;
        }
        if (created || there.repeated) return earlier;
        // From here on no refusal frees its run's id. It may have done so just now.
        const { matchedCount } = await requests.updateOne({ _id, hash, run_id: runId }, { $set: { repeated: true } });
        if (matchedCount === 1) return earlier;
      }
    },

    /** remembered, or refused → done. */
    async done(request) {
      const guard = { _id: requestKey(request), hash: request.hash };
      await requests.updateOne(guard, { $set: { created: true } });
    },

    /** remembered → none; if it was repeated → refused. Guard: not done, and still this request's. */
    async refused(request) {
      const { hash, runId } = request;
      const guard = { _id: requestKey(request), hash, run_id: runId, created: false };
      const { deletedCount } = await requests.deleteOne({ ...guard, repeated: { $ne: true } });
      if (deletedCount === 0) await requests.updateOne(guard, { $set: { refused: true } });
    },
  };
}
