import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { BatchStore, RequestStore } from "../../src/domain/ports.ts";
import type { Batch } from "../../src/domain/run/batch.ts";
import { runName } from "../../src/domain/run/run.ts";
import { newRecord } from "./run-records.ts";
import type { OpenStores } from "./stores.ts";

/** What every store of batches must do. */
export function describeBatches(which: string, open: OpenStores): void {
  let batches: BatchStore;
  let requests: RequestStore;
  beforeAll(async () => {
    ({ batches, requests } = await open());
  });

  function newBatch(change: Partial<Batch> = {}): Batch {
    const { owner = "" } = change;
    const records = [
      newRecord({ owner, dueAt: new Date(5_000), stateless: { temporary: true, batch: "batch" } }),
      newRecord({ owner, spec: { ...newRecord().spec, metadata: { "a.b": { $set: 1 } } } }),
    ];
    const runs = records.map(runName);
    return { owner, batchId: randomUUID(), hash: "h", created: new Date(), done: false, runs, records, ...change };
  }
  async function decided(change?: Partial<Batch>): Promise<Batch> {
    const batch = newBatch(change);
    expect(await batches.insertBatch(batch)).toBe(true);
    return batch;
  }

  describe(`a batch ${which}`, () => {
    it("is decided once, and found as it was", async () => {
      const batch = await decided();
      expect(await batches.insertBatch(newBatch({ batchId: batch.batchId }))).toBe(false);
      expect(await batches.findBatch(batch)).toEqual(batch);
      expect(await batches.findBatch(newBatch())).toBeUndefined();
    });

    it("is one owner's, and no request with the same id", async () => {
      const batch = await decided();
      const { batchId } = batch;
      expect(await batches.findBatch({ owner: "owner", batchId })).toBeUndefined();
      const others = await decided({ owner: "owner", batchId });
      const request = { ...newRecord(), requestId: batchId, hash: "h" };
      expect(await requests.remember(request)).toMatchObject({ isMine: true });
      expect(await batches.findBatch(batch)).toEqual(batch);
      expect(await batches.findBatch(others)).toEqual(others);
    });

    it("is known by its id when it is done, without what its runs were created from", async () => {
      const batch = await decided();
      for (const _ of [1, 2]) await batches.finishBatch(batch);
      expect(await batches.findBatch(batch)).toEqual({ ...batch, done: true, records: [] });
      expect(await batches.insertBatch(batch)).toBe(false);
    });

    it("that is not there is made by nobody who finishes it", async () => {
      const batch = newBatch();
      await batches.finishBatch(batch);
      expect(await batches.findBatch(batch)).toBeUndefined();
    });

    it("is undone until it is finished, for those who look a while later", async () => {
      const at = (ms: number) => new Date(ms);
      const [older, owned, finished, younger] = [
        await decided({ created: at(1_000) }),
        await decided({ created: at(1_999), owner: "owner" }),
        await decided({ created: at(1_000) }),
        await decided({ created: at(2_000) }),
      ];
      await batches.finishBatch(finished);
      const undone = async () =>
        (await batches.undoneBatches(at(2_000), { limit: 100 })).toSorted(
          (a, b) => a.created.getTime() - b.created.getTime(),
        );
      const placeOf = ({ owner, batchId, created }: Batch) => ({ owner, batchId, created });
      expect(await undone()).toEqual([older, owned].map(placeOf));
      for (const batch of [older, owned, younger]) await batches.finishBatch(batch);
      expect(await undone()).toEqual([]);
    });

    it("has a run that is too large for the database where its record and what lies apart are so together", () => {
      const small = newRecord();
      const { spec } = small;
      const half = "x".repeat(8 * 1024 * 1024);
      const [input, metadata] = [{ input: JSON.stringify(half) }, { metadata: { half } }];
      expect(batches.unstorable([])).toBeUndefined();
      expect(batches.unstorable([small, { ...small, spec: { ...spec, ...input } }])).toBeUndefined();
      expect(batches.unstorable([small, { ...small, spec: { ...spec, ...input, ...metadata } }, small])).toBe(1);
    });
  });
}
