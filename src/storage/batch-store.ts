import { BSON } from "mongodb";
import type { BatchStore } from "../domain/ports.ts";
import type { Batch, BatchName } from "../domain/run/batch.ts";
import { givenOf } from "../domain/run/given.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Collections } from "./collections.ts";
import type { BatchDocument } from "./documents.ts";
import { insertIfFree } from "./insert-each.ts";
import { earliest, key } from "./keys.ts";
import { newRunDocument } from "./run-document.ts";
import { walkIndex } from "./walk-index.ts";

const keptMs = 24 * 60 * 60 * 1000;

/** Documents end at 16 MiB, and a run's grows with its life. */
const maxRunBytes = 15 * 1024 * 1024;

export function createBatchStore({ batches }: Pick<Collections, "batches">): BatchStore {
  const batchKey = ({ owner, batchId }: BatchName) => key(owner, `batch:${batchId}`);

  return {
    insertBatch(batch) {
      return insertIfFree(batches, {
        _id: batchKey(batch),
        owner: batch.owner,
        kind: "batch",
        hash: batch.hash,
        created: batch.created,
        done: false,
        runs: batch.runs.map(({ threadId, runId }) => ({ thread_id: threadId, run_id: runId })),
        records: JSON.stringify(batch.records),
      });
    },

    async findBatch(name) {
      const doc = await batches.findOne({ _id: batchKey(name) });
      return doc ? toBatch(doc) : undefined;
    },

    /** Repeatable. */
    async finishBatch(batch) {
      const $set = { done: true, expire_at: new Date(batch.created.getTime() + keptMs) };
      await batches.updateOne({ _id: batchKey(batch) }, { $set, $unset: { records: "" } });
    },

    /** Index: batches_to_finish. */
    async undoneBatches(before, { limit, after }) {
      const last = after && { value: after.created, id: batchKey(after) };
      const filter = { done: false, created: { $gte: earliest, $lt: before } };
      const shown = { owner: 1, created: 1 };
      const found = await walkIndex(batches, filter, { field: "created" }, limit, last, shown);
      return found.map((doc) => ({ owner: doc.owner, batchId: idOf(doc), created: doc.created }));
    },

    unstorable(records) {
      const at = records.findIndex((run) => sizeOf(run) > maxRunBytes);
      return at < 0 ? undefined : at;
    },
  };
}

/** Of the record and what lies apart of it together. */
const sizeOf = (run: Run) => BSON.calculateObjectSize({ record: newRunDocument(run), given: givenOf(run) });

const idOf = ({ _id }: BatchDocument): string => _id.slice(_id.indexOf("batch:") + "batch:".length);

function toBatch(doc: BatchDocument): Batch {
  const { owner } = doc;
  return {
    owner,
    hash: doc.hash,
    created: doc.created,
    done: doc.done,
    batchId: idOf(doc),
    runs: doc.runs.map(({ thread_id, run_id }): RunName => ({ owner, threadId: thread_id, runId: run_id })),
    records: doc.records === undefined ? [] : (JSON.parse(doc.records) as Run[]).map(revived),
  };
}

/** Times are texts in JSON. */
const revived = (run: Run): Run => ({
  ...run,
  createdAt: new Date(run.createdAt),
  dueAt: run.dueAt && new Date(run.dueAt),
});
