import type { ChangeStream } from "mongodb";
import type { StoredNudges } from "../domain/nudge.ts";
import type { NudgeStore } from "../domain/ports.ts";
import type { Collections } from "./collections.ts";
import type { NudgesDocument } from "./documents.ts";

/** Batches that are kept for a server. One that reads at once has at most a few to read. */
export const keptBatches = 8;

/** For how long one request waits for a change; the next one follows it. */
const waitMs = 10_000;

/** `watched`: the collection over connections on which requests may wait, where there are such. */
export function createNudgeStore(
  { nudges }: Pick<Collections, "nudges">,
  watched: () => Collections["nudges"] | undefined,
): NudgeStore {
  return {
    async open(server) {
      await nudges.updateOne({ _id: server }, { $setOnInsert: { count: 0, batches: [] } }, { upsert: true });
    },

    async add(server, batch) {
      const { matchedCount } = await nudges.updateOne(
        { _id: server },
        { $inc: { count: 1 }, $push: { batches: { $each: [JSON.stringify(batch)], $slice: -keptBatches } } },
      );
      return matchedCount === 1;
    },

    async read(server) {
      const found = await nudges.findOne({ _id: server });
      return found ? storedNudges(found) : undefined;
    },

    async watch(server, told, signal) {
      if (signal.aborted) return;
      const collection = watched();
      if (!collection) throw new Error("there is no connection on which a change stream may wait");
      const stream = collection.watch([{ $match: { "documentKey._id": server } }], { maxAwaitTimeMS: waitMs });
      const aborted = Promise.withResolvers<void>();
      const leave = () => aborted.resolve();
      signal.addEventListener("abort", leave, { once: true });
      // It stands from the first answer on, which brings a token; what was told before that is read once.
      stream.once("resumeTokenChanged", () => told());
      try {
        // A request that waits is not waited for.
        await Promise.race([aborted.promise, tellOf(stream, told)]);
      } finally {
        signal.removeEventListener("abort", leave);
        void stream.close().catch(() => undefined);
      }
    },
  };
}

async function tellOf(stream: ChangeStream<NudgesDocument>, told: (nudges?: StoredNudges) => void): Promise<never> {
  for (;;) {
    const change = await stream.next();
    const { count, batches } = change.operationType === "update" ? (change.updateDescription.updatedFields ?? {}) : {};
    // A database may tell of a change in parts.
    told(count !== undefined && batches ? storedNudges({ count, batches }) : undefined);
  }
}

const storedNudges = ({ count, batches }: Pick<NudgesDocument, "count" | "batches">): StoredNudges => ({
  count,
  batches: batches.map((text) => JSON.parse(text)),
});
