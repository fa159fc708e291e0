import { setImmediate as nextTurn } from "node:timers/promises";
import type { CanonicalOf } from "../canonical-json.ts";
import { invalid, maxStoredBytes, tooLarge } from "../check-metadata.ts";
import { DomainError, ifMerely } from "../errors.ts";
import { newId } from "../ids.ts";
import { runOfRequestGone } from "../not-found.ts";
import { goThrough, inGroups, pagesOf } from "../pages-of.ts";
import type { BatchStore, RunStore } from "../ports.ts";
import type { Batch, BatchName, UndoneBatch } from "./batch.ts";
import type { CreateRunParts, PrepareRun } from "./create-run.ts";
import type { FindRun } from "./find-run.ts";
import type { NewRun } from "./new-run.ts";
import { bodyOf, hashOf, requestExists } from "./request-ids.ts";
import { type Run, runName } from "./run.ts";
import type { StoreRun } from "./store-run.ts";

export interface NewBatch {
  readonly owner: string;
  /** Chosen by the client to make a retry safe; empty when it did not. */
  readonly requestId: string;
  readonly items: readonly BatchItem[];
}

export interface BatchItem extends NewRun {
  /** Ids that the item was sent with, which belong to the server here. */
  readonly ids: readonly string[];
}

export interface CreateBatchParts extends Pick<CreateRunParts, "limits"> {
  readonly batches: BatchStore;
  readonly runs: Pick<RunStore, "tombstone">;
  readonly findRun: FindRun;
  readonly prepareRun: PrepareRun;
  readonly storeRun: StoreRun;
  readonly maxBatch: number;
  readonly canonicalOf: CanonicalOf;
  readonly now: () => Date;
  /** A batch could not be finished; a later sweep comes back to it. */
  readonly onError: (error: unknown) => void;
}

export interface CreateBatch {
  /** All of the runs, or an error and none of them; a repeat answers the same runs as they are by then. */
  create(batch: NewBatch): Promise<Run[]>;
  /** Creates what a crash has left undone of batches that were decided before the time. One that fails holds up no other. */
  sweep(before: Date): Promise<void>;
}

/** Batches of one look. */
const chunk = 100;

/** One document, of which the database takes 16 MiB, holds all runs until they are created, each with its assistant's settings. */
const maxBatchBytes = 15 * 1024 * 1024;

async function bytesOf(values: readonly object[]): Promise<number> {
  const sizes = await inGroups(values, async (value) => Buffer.byteLength(JSON.stringify(value)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Creates stateless runs all or nothing. One insert, with all that is needed to create them, decides; then each is created by
 * its known ids, which can be repeated by anybody.
 */
export function createCreateBatch(parts: CreateBatchParts): CreateBatch {
  const { batches, runs } = parts;

  async function check(batch: NewBatch, batchId: string): Promise<Run[]> {
    const { items } = batch;
    if (items.length > parts.maxBatch) {
      throw invalid("runs", `has ${items.length} runs; at most ${parts.maxBatch} are allowed in a batch`);
    }
    const records: Run[] = [];
    for (const [place, item] of items.entries()) {
      // Others have their turn in between.
      if (place % 8 === 0) await nextTurn();
      try {
        for (const id of item.ids) throw invalid(id, "must be empty in a batch: the server chooses the ids");
        const run = await parts.prepareRun(item);
        records.push({ ...run, stateless: { ...run.stateless!, batch: batchId } });
      } catch (error) {
        throw inBatch(error, place);
      }
    }
    const bytes = await bytesOf(items.map(({ spec }) => spec));
    if (bytes > maxStoredBytes) throw tooLarge("runs", `the inputs and settings have ${bytes} bytes of JSON together`);
    const all = await bytesOf(records);
    if (all > maxBatchBytes) {
      const sentence = `with the settings of their assistants they have ${all} bytes of JSON together`;
      throw tooLarge("runs", sentence, maxBatchBytes);
    }
    const unstorable = batches.unstorable(records);
    if (unstorable !== undefined) throw tooLarge(`runs[${unstorable}].spec`, "it is too large to be stored");
    return records;
  }

  async function create(batch: NewBatch): Promise<Run[]> {
    const { owner } = batch;
    const batchId = batch.requestId || newId();
    const hash = hashOf(await inGroups(batch.items, (item) => bodyOf(item, parts.canonicalOf)));
    const earlier = batch.requestId === "" ? undefined : await batches.findBatch({ owner, batchId });
    if (earlier) return repeat(earlier, hash);
    const records = await check(batch, batchId);
    const decided: Batch = {
      owner,
      batchId,
      hash,
      created: parts.now(),
      done: false,
      runs: records.map(runName),
      records,
    };
    const refunds = await admit(records);
    const isNew = await batches.insertBatch(decided).catch(refunds.andThrow);
    if (!isNew) {
      refunds.all();
      return repeat((await batches.findBatch(decided))!, hash);
    }
    await createMissing(decided);
    return now(decided);
  }

  /** Throws TOO_MANY_RUNS unless there is room for all. */
  async function admit(records: readonly Run[]) {
    const refunds: (() => void)[] = [];
    const all = () => {
      for (const refund of refunds) refund();
    };
    const andThrow = (error: unknown): never => {
      all();
      throw error;
    };
    for (const { owner } of records) refunds.push(await parts.limits.admit(owner).catch(andThrow));
    return { all, andThrow };
  }

  /** A run that has been created before, and may even be gone by now, is not created again. */
  async function store(run: Run): Promise<void> {
    await parts.storeRun(run, { again: true }).catch(ifMerely("THREAD_NOT_FOUND", "RUN_EXISTS"));
  }

  async function createMissing(batch: Batch): Promise<void> {
    if (batch.done) return;
    await inGroups(batch.records, store);
    await batches.finishBatch(batch);
  }

  /** Its records are read when it is its turn: they may be large. */
  async function finish(name: BatchName): Promise<void> {
    const batch = await batches.findBatch(name);
    if (batch) await createMissing(batch);
  }

  async function repeat(batch: Batch, hash: string): Promise<Run[]> {
    if (batch.hash !== hash) throw requestExists(batch.batchId);
    await createMissing(batch);
    return now(batch);
  }

  /** The runs as they are; those that are over and gone as they were, for as long as their last record is kept. */
  async function now(batch: Batch): Promise<Run[]> {
    return inGroups(batch.runs, async (name) => {
      const run = (await parts.findRun(name)) ?? (await runs.tombstone(name));
      if (run) return run;
      throw runOfRequestGone(name);
    });
  }

  return {
    create,
    async sweep(before) {
      const undone = pagesOf<UndoneBatch>(chunk, (page) => batches.undoneBatches(before, page));
      await goThrough(undone, finish, { atATime: 1, onError: parts.onError });
    },
  };
}

/** The same error with the item's place in front of its field. */
export function inBatch(error: unknown, place: number): unknown {
  if (!(error instanceof DomainError)) return error;
  const { reason, message, metadata, run, cause } = error;
  const placed: Record<string, string> = { ...metadata, index: String(place) };
  if (metadata.field !== undefined) placed.field = `runs[${place}].${metadata.field}`;
  return new DomainError(reason, `runs[${place}].${message}`, { metadata: placed, run, cause });
}
