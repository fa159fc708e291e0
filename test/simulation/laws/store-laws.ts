import type { RunEventsDocument, ServerDocument } from "../../../src/storage/documents.ts";
import type { JournalDocument } from "../../../src/storage/journal-documents.ts";
import type { RunDocument } from "../../../src/storage/run-document.ts";
import type { Written } from "../engine/simulated-engine.ts";
import type { Facts, World } from "./facts.ts";
import { isSameEnd, tell } from "./lane-laws.ts";
import { laneOf, newestCheckpoint, threadAt } from "./stored.ts";

/** What each change of records, events and checkpoints must keep. */
export function createStoreLaws({ engine, broken }: World, facts: Facts) {
  /** Whether a writer with this token may write to the thread: it has the lease or the hold, or is not fenced yet. */
  function mayWrite(threadId: string, token: string): boolean {
    const { entries, holder } = laneOf(threadAt(engine, threadId));
    const leases = entries.flatMap(({ lease }) => (lease ? [lease.token, ...(lease.tokensToFence ?? [])] : []));
    const holds = holder ? [holder.id, ...(holder.tokensToFence ?? [])] : [];
    return leases.includes(token) || holds.includes(token);
  }

  function record({ before, after }: { before?: RunDocument; after?: RunDocument }): void {
    if (!before || !after) return;
    if (after.changes < before.changes) broken("records", `the record of ${after._id} went back`);
    if (before.phase === "over" && after.phase !== "over") broken("law 3", `the record of ${after._id} is live again`);
  }

  function ended(doc: RunDocument): void {
    if (doc.phase !== "over") return;
    const { cancel, status } = doc;
    const told = { status, action: cancel?.action, outcome: cancel?.outcome };
    const run = facts.of(doc._id);
    run.isRecorded = true;
    if (run.end && !isSameEnd(run.end, told))
      broken("records", `the record of ${doc._id} says ${tell(told)}, its lane said ${tell(run.end)}`);
    if (!run.end) broken("records", `the record of ${doc._id} says ${tell(told)} before its lane does`);
  }

  function event(doc: RunEventsDocument): void {
    if (!doc.gate && !mayWrite(doc.thread_id, doc.token))
      broken("fences", `chunk ${doc.chunk} of ${doc.run_id} was stored by a lease that is over`);
  }

  function checkpoint(doc: JournalDocument): void {
    if (doc.fences !== undefined || doc.token === undefined) return;
    if (!mayWrite(doc.thread_id, doc.token))
      broken("fences", `slot ${doc.slot} was stored by a lease that is over, of ${doc.run_id ?? "an edit"}`);
    const before = stepsIn(newestCheckpoint(engine, doc.journal, doc._id));
    const steps = stepsIn(doc.checkpoints?.at(-1));
    if (JSON.stringify(steps.slice(0, -1)) !== JSON.stringify(before))
      broken("law 6", `${doc.run_id ?? "an edit"} goes on from ${before.join(" ")} with ${steps.join(" ")}`);
    if (before.includes(steps.at(-1)!)) broken("law 5", `${steps.at(-1)} was taken twice`);
  }

  function server({ before, after }: { before?: ServerDocument; after?: ServerDocument }): void {
    if (!before?.dead_at || !after || after.seen_at <= before.seen_at) return;
    broken("law 10", `${after._id} beats after its death`);
  }

  return function written(change: Written): void {
    const { collection, before, after } = change;
    if (collection === "runs") {
      record(change as never);
      if (after) ended(after as never);
    } else if (collection === "tombstones" && after) ended(after as never);
    else if (collection === "servers") server(change as never);
    else if (collection === "run_events" && !before) event(after as never);
    else if (collection === "checkpoints" && !before) checkpoint(after as never);
  };
}

function stepsIn(entry: { readonly values: readonly { readonly bytes?: Uint8Array }[] } | undefined): string[] {
  const bytes = entry?.values[0]?.bytes;
  return bytes ? JSON.parse(new TextDecoder().decode(bytes)) : [];
}
