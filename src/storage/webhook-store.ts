import type { Collection, Filter, UpdateFilter } from "mongodb";
import type { RunPage, WebhookStore } from "../domain/ports.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Collections } from "./collections.ts";
import { earliest } from "./keys.ts";
import { type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import { walkIndex } from "./walk-index.ts";

/**
 * A delivery is part of the run's record. It moves to the tombstone when the record goes; that of a temporary thread's run,
 * which always goes, is only ever made from there.
 */
export function createWebhookStore(
  { runs, tombstones }: Pick<Collections, "runs" | "tombstones">,
  now: () => Date,
): WebhookStore {
  const graves = tombstones as unknown as Collection<RunDocument>;
  const placesOf = (run: Run) => (run.stateless?.temporary ? [graves] : [runs, graves]);
  const ofRun = (name: RunName) => ({ thread_id: threadKey(name), _id: runKey(name) });
  const pending = (run: Run): Filter<RunDocument> => ({
    ...ofRun(run),
    phase: "over",
    "webhook.state": "pending",
  });

  /** Of both places together. */
  async function find(
    filter: Filter<RunDocument>,
    field: "ended_at" | "webhook.due_at",
    { limit, after }: RunPage,
    timeOf: (run: Run) => Date,
  ): Promise<Run[]> {
    const last = after && { value: timeOf(after), id: runKey(after) };
    const pending: Filter<RunDocument> = { ...filter, "webhook.state": "pending", phase: "over" };
    const found = await Promise.all([
      walkIndex(runs, { ...pending, "stateless.temporary": { $ne: true } }, { field }, limit, last),
      walkIndex(graves, pending, { field }, limit, last),
    ]);
    const inOrder = found.flat().map((doc) => ({ run: toRun(doc), id: doc._id }));
    inOrder.sort((a, b) => timeOf(a.run).getTime() - timeOf(b.run).getTime() || (a.id < b.id ? -1 : 1));
    return inOrder.slice(0, limit).map(({ run }) => run);
  }

  async function update(run: Run, filter: Filter<RunDocument>, change: UpdateFilter<RunDocument>): Promise<void> {
    for (const place of placesOf(run)) {
      if ((await place.updateOne({ ...pending(run), ...filter }, change)).matchedCount === 1) return;
    }
  }

  /** It is the one that was taken, and nobody has made the delivery pending anew since. */
  const isTheTry = ({ webhook }: Run): Filter<RunDocument> => ({
    "webhook.tries": webhook!.tries,
    "webhook.due_at": webhook!.dueAt ?? null,
  });

  return {
    /** Guard: nobody took this try. */
    async take(run, dueAt) {
      const tries = run.webhook!.tries;
      const change = {
        $set: { "webhook.tries": tries + 1, "webhook.due_at": dueAt, "webhook.last_try_at": now() },
        $unset: { "webhook.next_try_at": "" as const },
      };
      for (const place of placesOf(run)) {
        const filter = { ...pending(run), "webhook.tries": tries };
        const doc = await place.findOneAndUpdate(filter, change, { returnDocument: "after" });
        if (doc) return toRun(doc);
      }
      return undefined;
    },

    /** Guard: this try is the last one that was taken. */
    keepError: (run, error, nextTryAt) =>
      update(run, isTheTry(run), { $set: { "webhook.last_error": error, "webhook.next_try_at": nextTryAt } }),

    /** Guard: still pending. What was kept for the webhook goes. */
    settleDone: (run) =>
      update(
        run,
        {},
        {
          $set: { "webhook.state": "done", "webhook.due_at": null },
          $unset: { "webhook.kept": "", "webhook.last_error": "", "webhook.next_try_at": "" },
        },
      ),

    /** Guard: this try is the last one that was taken. What was kept stays with the tombstone, for a retry. */
    settleFailed: (run, error) =>
      update(run, isTheTry(run), {
        $set: { "webhook.state": "failed", "webhook.due_at": null, "webhook.last_error": error },
        $unset: { "webhook.next_try_at": "" },
      }),

    /** failed → pending. Guard: failed, and of a tombstone that it holds what is to be told. That one begins another hour. */
    async retry(name) {
      const failed = { ...ofRun(name), phase: "over" as const, "webhook.state": "failed" as const };
      const anew: UpdateFilter<RunDocument> = {
        $set: { "webhook.state": "pending", "webhook.tries": 0, "webhook.due_at": null },
        $unset: { "webhook.last_try_at": "", "webhook.last_error": "", "webhook.next_try_at": "" },
      };
      const inGrave = { ...anew, $set: { ...anew.$set, buried_at: now() } };
      const doc =
        (await runs.findOneAndUpdate(failed, anew, { returnDocument: "after" })) ??
        (await graves.findOneAndUpdate({ ...failed, "webhook.kept": { $exists: true } }, inGrave, {
          returnDocument: "after",
        }));
      return doc ? toRun(doc) : undefined;
    },

    /** Index: untried_webhooks. */
    untried(endedBefore, page) {
      const filter = { "webhook.due_at": null, ended_at: { $gte: earliest, $lt: endedBefore } };
      return find(filter, "ended_at", page, ({ endedAt }) => endedAt!);
    },

    /** Index: due_webhooks. */
    due(now, page) {
      const filter = { "webhook.due_at": { $gte: earliest, $lt: now } };
      return find(filter, "webhook.due_at", page, ({ webhook }) => webhook!.dueAt!);
    },
  };
}
