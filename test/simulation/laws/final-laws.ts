import { entryOf, isEnded } from "../../../src/domain/thread/entry.ts";
import type { RunDocument } from "../../../src/storage/run-document.ts";
import type { ThreadDocument } from "../../../src/storage/thread-document.ts";
import { type Facts, type RunFacts, strength, type World } from "./facts.ts";
import { laneOf, leftOf, newestCheckpoint, recordAt, threadAt, tombstoneAt } from "./stored.ts";

/** What is not yet as it must be when nothing happens any more; nothing when all is at rest. */
export function unrest({ engine, executions }: World): string[] {
  const left: string[] = [];
  for (const one of executions.live) left.push(`${one.runId} executes`);
  for (const doc of engine.all("threads") as Iterable<unknown> as Iterable<ThreadDocument>) {
    if (doc.rev === undefined) continue;
    const { entries, holder } = laneOf(doc);
    for (const entry of entries) left.push(`${entry.run} is in its lane, ${entry.phase}`);
    if (holder) left.push(`thread ${doc.thread_id} is held for a ${holder.kind}`);
    if (doc.removing) left.push(`thread ${doc.thread_id} is being removed`);
    if (doc.temporary) left.push(`the temporary thread ${doc.thread_id} is there`);
    if (doc.head !== null || doc.owes_since !== null || doc.due !== null)
      left.push(`thread ${doc.thread_id} is not at rest`);
  }
  for (const doc of engine.all("runs") as Iterable<unknown> as Iterable<RunDocument>) {
    if (doc.phase !== "over") left.push(`the record of ${doc._id} says ${doc.phase}, ${doc.changes} changes`);
  }
  for (const doc of engine.all("watches")) {
    if (doc.expire_at === undefined) left.push(`a watch of ${doc.run_id} is there`);
  }
  for (const doc of engine.all("requests")) if (doc.done === false) left.push(`a batch is not done`);
  return left;
}

/** What must be true when everything has come to its end. */
export function checkEnd(world: World, facts: Facts): void {
  const { engine, broken } = world;
  for (const run of facts.runs.values()) checkRun(run);
  for (const doc of engine.all("threads") as Iterable<unknown> as Iterable<ThreadDocument>) {
    if (doc.rev !== undefined) checkThread(doc);
  }
  checkOrder();

  function checkRun(run: RunFacts): void {
    const { runId, end, promised, threadId } = run;
    const [record, tombstone] = [recordAt(engine, runId), tombstoneAt(engine, runId)];
    const mayBeGone = run.mayBeDeleted || facts.threadsThatMayGo.has(threadId);
    if (run.createdAt !== undefined && !end) broken("no run is lost", `${runId} was created and never ended`);
    // One of which nobody was told may come so late that its record is removed: it ends without ever executing.
    const isKnown = run.createdAt !== undefined || run.hasExecuted;
    if (isKnown && end && !record && !tombstone && !mayBeGone)
      broken("no run is lost", `nothing tells of ${runId}, which is over`);
    if (promised && end && end.status !== "interrupted")
      broken("law 2", `${runId} was to be cancelled and is ${end.status}`);
    if (promised && end?.action && strength[end.action] < strength[promised])
      broken("law 2", `${runId} was to be rolled back and was interrupted`);
    if (end?.action !== "rollback") return;
    if (record) broken("law 6", `${runId} is rolled back and its record is there`);
    const [stays] = leftOf(engine, runId);
    if (stays !== undefined) broken("law 6", `${runId} is rolled back and ${stays} is left`);
  }

  /** What is remembered of a thread is what its journal shows. */
  function checkThread(doc: ThreadDocument): void {
    const state = doc.state === null ? undefined : (JSON.parse(doc.state) as { checkpointId?: string });
    const newest = newestCheckpoint(engine, doc.journal);
    if (state?.checkpointId !== newest?.id)
      broken("law 6", `thread ${doc.thread_id} remembers ${state?.checkpointId}, and its journal shows ${newest?.id}`);
    if (doc.status === "busy") broken("threads", `thread ${doc.thread_id} is busy with nothing`);
  }

  /** Of two runs of a thread the one that was created before the other was asked for comes first. */
  function checkOrder(): void {
    const inTime = [...facts.runs.values()].filter(({ n, isDelayed }) => n !== undefined && !isDelayed);
    for (const one of inTime) {
      for (const other of inTime) {
        const isBefore = one.createdAt !== undefined && other.askedAt !== undefined && one.createdAt < other.askedAt;
        if (
          one.threadId === other.threadId &&
          isBefore &&
          one.n! > other.n! &&
          !facts.threadsThatMayGo.has(one.threadId)
        )
          broken("law 7", `${one.runId} was created before ${other.runId}, and stood behind it`);
      }
    }
  }
}

/** A run is where nobody looks after it: for the reader of a failure. */
export function whereIs({ engine }: World, { runId, threadId }: RunFacts): string {
  const doc = threadAt(engine, threadId);
  const entry = doc && entryOf({ lane: laneOf(doc) } as never, runId);
  return entry ? `${entry.phase}${isEnded(entry) ? ` as ${entry.end!.status}` : ""}` : "not in its lane";
}
