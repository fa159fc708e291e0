import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunStore, WebhookStore } from "../../src/domain/ports.ts";
import type { Run } from "../../src/domain/run/run.ts";
import { type Entry, entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import { situations, threadAfter } from "../unit/domain/lane-situations.ts";
import { newRecord, projected } from "./run-records.ts";
import type { OpenStores } from "./stores.ts";

/** What every store of webhooks must do. */
export function describeWebhooks(which: string, open: OpenStores): void {
  let runs: RunStore;
  let webhooks: WebhookStore;
  beforeAll(async () => {
    ({ runs, webhooks } = await open());
  });

  const spec = { ...newRecord().spec, metadata: { a: 1 }, webhook: "http://localhost" };
  const running = entryOf(threadAfter(...situations.running), "a")!;
  const over = (at = 1_000): Entry => {
    const entry = entryOf(threadAfter(...situations.success), "a")!;
    return { ...entry, end: { ...entry.end!, at } };
  };
  const due = new Date(5_000);
  const lastTryAt = expect.any(Date) as Date;

  /** A run that is over at this time, and whose webhook is to be told so. */
  async function ended(change: Partial<Run> = {}, at?: number): Promise<Run> {
    const run = newRecord({ spec, ...change });
    expect(await runs.insert(run)).toBe(true);
    return (await projected(runs, run, projectionOf(over(at), "journal")))!;
  }
  async function buried(run: Run): Promise<Run> {
    await runs.insertTombstone(run, '{"b":2}');
    await runs.remove(run);
    return (await runs.tombstone(run))!;
  }
  const deliveryOf = async (run: Run) => ((await runs.find(run)) ?? (await runs.tombstone(run)))?.webhook;

  describe(`the delivery of a webhook ${which}`, () => {
    it("is made by one of those who take the same try", async () => {
      const run = await ended();
      const taken = { ...run, webhook: { state: "pending", tries: 1, dueAt: due, lastTryAt } };
      const all = await Promise.all(Array.from({ length: 6 }, () => webhooks.take(run, due)));
      expect(all.filter((one) => one !== undefined)).toEqual([taken]);
      expect(await runs.find(run)).toEqual(taken);
      expect(await webhooks.take(run, due)).toBeUndefined();
      const later = new Date(6_000);
      expect((await webhooks.take(taken as Run, later))!.webhook).toEqual({
        state: "pending",
        tries: 2,
        dueAt: later,
        lastTryAt,
      });
    });

    it("is not made before the end, of another thread's run, or of none", async () => {
      const live = newRecord({ spec });
      await runs.insert(live);
      await projected(runs, live, projectionOf(running, "journal"));
      const found = (await runs.find(live))!;
      expect(await webhooks.take(found, due)).toBeUndefined();
      await webhooks.settleFailed(found, "why");
      expect(await deliveryOf(live)).toEqual({ state: "pending", tries: 0 });
      const run = await ended();
      const elsewhere = { ...run, threadId: randomUUID() };
      expect(await webhooks.take(elsewhere, due)).toBeUndefined();
      await webhooks.settleDone(elsewhere);
      expect(await deliveryOf(run)).toEqual({ state: "pending", tries: 0 });
      await runs.remove(run);
      expect(await webhooks.take(run, due)).toBeUndefined();
      await webhooks.settleDone(run);
      expect(await deliveryOf(run)).toBeUndefined();
    });

    it("is over for good when it is done", async () => {
      const run = await ended();
      const taken = (await webhooks.take(run, due))!;
      await webhooks.keepError(taken, "no answer", new Date(3_000));
      await webhooks.settleDone(taken);
      const done = { state: "done", tries: 1, lastTryAt };
      expect(await deliveryOf(run)).toEqual(done);
      await webhooks.settleFailed(taken, "why");
      await webhooks.keepError(taken, "why", new Date(3_000));
      expect(await webhooks.take(taken, due)).toBeUndefined();
      expect(await webhooks.retry(run)).toBeUndefined();
      expect(await deliveryOf(run)).toEqual(done);
    });

    it("says why a try has failed, and when the next one follows, until that is taken", async () => {
      const taken = (await webhooks.take(await ended(), due))!;
      const nextTryAt = new Date(3_000);
      await webhooks.keepError(taken, "no answer", nextTryAt);
      const failed = { state: "pending", tries: 1, dueAt: due, lastTryAt, lastError: "no answer", nextTryAt };
      expect(await deliveryOf(taken)).toEqual(failed);
      const later = new Date(6_000);
      const { nextTryAt: _, ...again } = { ...failed, tries: 2, dueAt: later };
      expect((await webhooks.take(taken, later))!.webhook).toEqual(again);
      // The first try is somebody's who is late.
      await webhooks.keepError(taken, "late", nextTryAt);
      await webhooks.settleFailed(taken, "late");
      expect(await deliveryOf(taken)).toEqual(again);
    });

    it("that has failed is over, until somebody has it made again, which one of many does", async () => {
      const run = await ended();
      const taken = (await webhooks.take(run, due))!;
      expect(await webhooks.retry(run)).toBeUndefined();
      await webhooks.settleFailed(taken, "why");
      expect(await deliveryOf(run)).toEqual({ state: "failed", tries: 1, lastTryAt, lastError: "why" });
      expect(await webhooks.take(taken, due)).toBeUndefined();
      const { threadId, ...name } = run;
      expect(await webhooks.retry({ ...name, threadId: randomUUID() })).toBeUndefined();
      expect(await webhooks.retry({ ...name, threadId, owner: "another" })).toBeUndefined();
      const all = await Promise.all(Array.from({ length: 6 }, () => webhooks.retry(run)));
      const pending = { ...run, webhook: { state: "pending", tries: 0 } };
      expect(all.filter((one) => one !== undefined)).toEqual([pending]);
      expect(await runs.find(run)).toEqual(pending);
      // Whoever was late with the try that failed changes nothing of the next ones.
      const anew = (await webhooks.take(run, new Date(7_000)))!;
      await webhooks.settleFailed(taken, "late");
      expect(await deliveryOf(run)).toEqual(anew.webhook);
    });

    it("that has failed can be made again from a tombstone that holds what is to be told", async () => {
      const told = await buried(await ended());
      const kept = { metadata: { a: 1 }, values: '{"b":2}' };
      await webhooks.settleFailed((await webhooks.take(told, due))!, "why");
      expect(await deliveryOf(told)).toEqual({ state: "failed", tries: 1, lastTryAt, lastError: "why", kept });
      expect(await webhooks.retry(told)).toMatchObject({ webhook: { state: "pending", tries: 0, kept } });
      // Nothing was kept for this one.
      const failed = await ended();
      await webhooks.settleFailed((await webhooks.take(failed, due))!, "why");
      await buried(failed);
      expect(await webhooks.retry(failed)).toBeUndefined();
      expect(await deliveryOf(failed)).toMatchObject({ state: "failed" });
    });

    it("goes on with the tombstone when the record is gone, and needs no more then what was kept for it", async () => {
      const run = await ended();
      const taken = (await webhooks.take(run, due))!;
      const kept = { metadata: { a: 1 }, values: '{"b":2}' };
      const tombstone = await buried(taken);
      expect(tombstone.webhook).toEqual({ state: "pending", tries: 1, dueAt: due, lastTryAt, kept });
      expect(await webhooks.take(run, due)).toBeUndefined();
      const again = (await webhooks.take(taken, new Date(6_000)))!;
      expect(again.webhook).toEqual({ state: "pending", tries: 2, dueAt: new Date(6_000), lastTryAt, kept });
      await webhooks.settleDone(again);
      expect(await deliveryOf(run)).toEqual({ state: "done", tries: 2, lastTryAt });
    });

    it("of a temporary thread's run is made from its tombstone only", async () => {
      const run = await ended({ stateless: { temporary: true } });
      expect(await webhooks.take(run, due)).toBeUndefined();
      await webhooks.settleDone(run);
      expect(await deliveryOf(run)).toEqual({ state: "pending", tries: 0 });
      const tombstone = await buried(run);
      const taken = await webhooks.take(tombstone, due);
      expect(taken).toMatchObject({ webhook: { state: "pending", tries: 1 } });
      await webhooks.settleDone(taken!);
      expect(await deliveryOf(run)).toEqual({ state: "done", tries: 1, lastTryAt });
    });
  });

  describe(`deliveries that nobody is known to make ${which}`, () => {
    it("are those of runs that ended before the time, whose try is not under way any more", async () => {
      const [end, now] = [new Date(2_000), new Date(9_000)];
      const made: Record<string, Run> = {
        waiting: await ended(),
        ofAnOwner: await ended({ owner: "owner" }),
        late: await ended({}, 2_000),
        underWay: (await webhooks.take(await ended(), now))!,
        lost: (await webhooks.take(await ended(), new Date(8_999)))!,
        done: await ended(),
        unwanted: await ended({ spec: newRecord().spec }),
        temporary: await ended({ stateless: { temporary: true } }),
        buried: await buried(await ended()),
        buriedLate: await buried(await ended({}, 2_000)),
        buriedUnderWay: await buried((await webhooks.take(await ended(), now))!),
        temporaryBuried: await buried(await ended({ stateless: { temporary: true } })),
      };
      const live = newRecord({ spec });
      await runs.insert(live);
      await webhooks.settleDone(made.done!);
      const ids = new Map(Object.entries({ ...made, live }).map(([what, { runId }]) => [runId, what]));
      const known = (all: readonly Run[]) => all.filter(({ runId }) => ids.has(runId));
      const untried = known(await webhooks.untried(end, { limit: 100 }));
      expect(untried.map(({ runId }) => ids.get(runId)).sort()).toEqual(
        ["buried", "ofAnOwner", "temporaryBuried", "waiting"].sort(),
      );
      expect(untried).toContainEqual(made.temporaryBuried);
      expect(known(await webhooks.due(now, { limit: 100 }))).toEqual([made.lost]);
    });
  });
}
