import type { Collection, Filter } from "mongodb";
import type { RunPage, WebhookStore } from "../domain/ports.ts";
import type { Run } from "../domain/run/run.ts";
import type { Collections } from "./collections.ts";
import { earliest } from "./keys.ts";
import { type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import { walkIndex } from "./walk-index.ts";

/**
 * A delivery is part of the run's record. It moves to the tombstone when the record goes; that of a temporary thread's run,
 * which always goes, is only ever made from there.
 */
export function createWebhookStore({ runs, tombstones }: Pick<Collections, "runs" | "tombstones">): WebhookStore {
  const graves = tombstones as unknown as Collection<RunDocument>;
  const placesOf = (run: Run) => (run.stateless?.temporary ? [graves] : [runs, graves]);
  const pending = (run: Run): Filter<RunDocument> => ({
    thread_id: threadKey(run),
    _id: runKey(run),
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

  return {
    /** Guard: nobody took this try. */
    async take(run, dueAt) {
      const tries = run.webhook!.tries;
      const change = { $set: { "webhook.tries": tries + 1, "webhook.due_at": dueAt } };
      for (const place of placesOf(run)) {
        const filter = { ...pending(run), "webhook.tries": tries };
        const doc = await place.findOneAndUpdate(filter, change, { returnDocument: "after" });
        if (doc) return toRun(doc);
      }
      return undefined;
    },

    /** Guard: still pending. What was kept for the webhook goes. */
    async settle(run, state) {
      const change = {
        $set: { "webhook.state": state, "webhook.due_at": null },
        $unset: { "webhook.kept": "" as const },
      };
      for (const place of placesOf(run)) {
        if ((await place.updateOne(pending(run), change)).matchedCount === 1) return;
      }
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
