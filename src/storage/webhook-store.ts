import type { Collection, Filter } from "mongodb";
import type { WebhookStore } from "../domain/ports.ts";
import type { Run } from "../domain/run.ts";
import type { Collections } from "./collections.ts";
import { type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";

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

    /** Index: webhooks_of_runs, webhooks_of_tombstones. */
    async undelivered(endedBefore, now) {
      const state = { "webhook.state": "pending" } as const;
      const ended = { ...state, phase: "over", ended_at: { $lt: endedBefore } } as const;
      const [live, removed] = await Promise.all([
        runs.find(ended).sort({ ended_at: 1 }).limit(1000).toArray(),
        graves.find(state).limit(1000).toArray(),
      ]);
      const due = ({ webhook, ended_at }: RunDocument) =>
        ended_at !== null && ended_at < endedBefore && (webhook!.due_at === null || webhook!.due_at < now);
      const ownRecord = live.filter((doc) => !doc.stateless?.temporary);
      return [...ownRecord, ...removed].filter(due).map(toRun);
    },
  };
}
