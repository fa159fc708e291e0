import { fieldsOf } from "../../../src/checkpoints/journal-entries.ts";
import { type Entry, isDelayed, isEnded, type Lane, liveEntries } from "../../../src/domain/thread/entry.ts";
import { isTerminal } from "../../../src/domain/transitions.ts";
import type { ThreadDocument } from "../../../src/storage/thread-document.ts";
import type { Plan } from "../children/plan.ts";
import type { Written } from "../engine/simulated-engine.ts";
import { type Facts, type RunFacts, strength, type ToldEnd, type World } from "./facts.ts";
import { laneOf, leftOf, newestCheckpoint, recordAt, tombstoneAt } from "./stored.ts";

/** What each change of a thread must keep. */
export function createLaneLaws(world: World, facts: Facts) {
  const { engine, executions, broken } = world;
  /** The run that has come for each request that may be repeated. */
  const requests = new Map<string, string>();

  function written({ before, after }: Written): void {
    const [was, is] = [before, after] as unknown as (ThreadDocument | undefined)[];
    const [lane, next] = [laneOf(was), laneOf(is)];
    const threadId = (is?.rev === undefined ? was : is)?.thread_id;
    if (threadId === undefined) return;
    const earlier = new Map(lane.entries.map((entry) => [entry.run, entry]));
    for (const entry of next.entries) {
      const known = facts.of(entry.run, threadId);
      const run = known.hasLeft && known.journal !== is!.journal ? facts.bearAnew(entry.run) : known;
      run.journal = is!.journal;
      changed(run, earlier.get(entry.run), entry, lane, next);
      if (isEnded(entry) || entry.phase === "rolling_back") stopped(run, entry);
      run.entry = entry;
    }
    const there = new Set(next.entries.map(({ run }) => run));
    for (const entry of lane.entries) if (!there.has(entry.run)) left(facts.of(entry.run, threadId), entry, is);
    if (next.holder) held(threadId, next.holder.kind);
    inOrder(next);
    if (is?.rev === undefined && lane.entries.some((entry) => !isEnded(entry)))
      broken("no run is lost", `thread ${threadId} was removed with a live run`);
  }

  /** A record may be stored at the same time as its entry. */
  function stored({ before, after }: Written): void {
    const run = before ? undefined : facts.runs.get(String(after!._id));
    if (!run?.entry) return;
    if (isEnded(run.entry)) run.wasStoredLate = true;
    else if (run.strategy === undefined) asked(run);
  }

  function changed(run: RunFacts, was: Entry | undefined, is: Entry, before: Lane, after: Lane): void {
    if (!was) entered(run, is, before, after);
    if (was && is.changes < was.changes)
      broken("records", `${is.run} counts ${is.changes} changes after ${was.changes}`);
    if (was?.cancel && (!is.cancel || strength[is.cancel.action] < strength[was.cancel.action]))
      broken("law 2", `the cancel of ${is.run} was weakened`);
    if (is.lease && is.lease.token !== was?.lease?.token) leased(run, was, is, after);
    if (isEnded(is)) ended(run, was, is, after);
    if ((is.lost ?? 0) > 3) broken("law 10", `${is.run} has lost ${is.lost} executions`);
  }

  /** What was asked for is in the run's record, which is there by then, or about to come, unless its creation has taken too long. */
  function asked(run: RunFacts): void {
    const record = recordAt(engine, run.runId);
    if (!record) return;
    const { multitaskStrategy, input, afterMs } = record.spec;
    run.strategy = multitaskStrategy;
    run.isDelayed = afterMs !== undefined;
    if (input !== undefined) run.plan ??= JSON.parse(input) as Plan;
    if (record.request === null || record.request === undefined) return;
    const first = requests.get(record.request) ?? run.runId;
    requests.set(record.request, first);
    if (first !== run.runId) broken("twins", `${first} and ${run.runId} came for the same request`);
  }

  function entered(run: RunFacts, is: Entry, before: Lane, after: Lane): void {
    asked(run);
    if (run.hasLeft) broken("twins", `${is.run} came again after it had gone`);
    run.n ??= is.n;
    run.wasForgotten = false;
    // What has come to its end, or let go, in the same decision may have done so before.
    const stillLive = new Set(liveEntries(after).map((one) => one.run));
    const live = liveEntries(before).filter((one) => stillLive.has(one.run));
    const isHeld = before.holder !== undefined && after.holder?.id === before.holder.id;
    if (run.strategy === "reject" && (live.length > 0 || isHeld))
      broken("section 6", `${is.run} was let in with REJECT beside ${live[0]?.run ?? before.holder!.kind}`);
    if (run.strategy !== "interrupt" && run.strategy !== "rollback") return;
    for (const other of after.entries) {
      if (
        other.run === is.run ||
        // It has come later, in the same decision.
        other.n > is.n ||
        isEnded(other) ||
        (other.cancel && strength[other.cancel.action] >= strength[run.strategy])
      )
        continue;
      broken("section 6", `${is.run} came with ${run.strategy} and left ${other.run} alone`);
    }
  }

  function leased(run: RunFacts, was: Entry | undefined, is: Entry, lane: Lane): void {
    const { tokensToFence } = is.lease!;
    if (tokensToFence) {
      if (is.unreachable) for (const token of tokensToFence) facts.excused.add(token);
      return;
    }
    run.claims += 1;
    if ((is.attempt ?? 0) !== (was?.attempt ?? 0) + 1) broken("law 10", `the attempts of ${is.run} are not counted`);
    const before = lane.entries.slice(0, lane.entries.indexOf(is)).find((one) => !isEnded(one) && !isDelayed(one));
    if (before) broken("law 7", `${is.run} was claimed before ${before.run} was over`);
    if (lane.holder) broken("law 7", `${is.run} was claimed beside the hold of a ${lane.holder.kind}`);
    if (was?.cancel) broken("law 2", `${is.run} was claimed although its cancel is stored`);
  }

  function ended(run: RunFacts, was: Entry | undefined, is: Entry, lane: Lane): void {
    const end: ToldEnd = { status: is.end!.status, action: is.cancel?.action, outcome: is.end!.outcome };
    if (!isTerminal(end.status)) broken("law 3", `${is.run} is over as ${end.status}`);
    if (is.cancel && end.status !== "interrupted")
      broken("law 2", `${is.run} was cancelled and ended as ${end.status}`);
    if (run.end) {
      if (!isSameEnd(run.end, end)) broken("law 3", `${is.run} ended as ${tell(run.end)} and then as ${tell(end)}`);
      return;
    }
    run.end = end;
    if (end.action === "rollback" && was?.phase === "rolling_back") {
      const [stays] = leftOf(engine, is.run);
      if (stays !== undefined) broken("law 6", `${is.run} is rolled back and ${stays} is left`);
    }
    if (end.status === "success") complete(run, is, lane);
  }

  /** A success means that the last step is stored. */
  function complete(run: RunFacts, is: Entry, _lane: Lane): void {
    const journal = engine.at("threads", run.threadId)?.journal as string | undefined;
    if (!run.plan || journal === undefined) return;
    const newest = newestCheckpoint(engine, journal);
    const { run_id, step }: { run_id?: string; step?: number } = newest ? fieldsOf(newest) : {};
    if (run_id !== is.run || step !== run.plan.steps.length - 1)
      broken("law 5", `${is.run} succeeded, and the thread's newest checkpoint is of ${run_id}, step ${step}`);
  }

  /** Nothing of a run that is over executes, unless nobody could reach it, and then that is told. */
  function stopped({ runId }: RunFacts, entry: Entry): void {
    for (const one of executions.live) {
      if (one.runId !== runId) continue;
      if (!facts.excused.has(one.token))
        broken("law 1", `${runId} is ${entry.phase} and executes in ${one.child.name}`);
      else if (entry.cancel && entry.end?.outcome !== "fenced")
        broken("law 1", `${runId} is called ${entry.end?.outcome} and executes where nobody can reach it`);
    }
  }

  /** An entry leaves when its record says the same, and never otherwise, unless it has come too late to have one. */
  function left(run: RunFacts, entry: Entry, thread: ThreadDocument | undefined): void {
    if (!isEnded(entry)) {
      const isFresh = entry.phase === "waiting" && entry.attempt === undefined && !entry.confirmed;
      if (!isFresh) broken("no run is lost", `${entry.run} left its lane ${entry.phase}`);
      run.wasForgotten = true;
      return;
    }
    run.hasLeft = true;
    if (thread?.rev === undefined) return;
    const [record, tombstone] = [recordAt(engine, entry.run), tombstoneAt(engine, entry.run)];
    if (entry.cancel?.action === "rollback") {
      // The request may have been repeated: the record that came for that is another one, and counts only with an entry.
      const isThere = record && (record.changes > 0 || record.made === tombstone?.made);
      // Of a run whose creator died before it was stored there is nothing to bury.
      const wasStored = run.strategy !== undefined || run.createdAt !== undefined;
      if (isThere || (!tombstone && wasStored)) broken("records", `${entry.run} left its lane and is not buried`);
    } else if (record?.phase !== "over" && !tombstone && (record ? !run.wasStoredLate : run.createdAt !== undefined)) {
      broken("records", `${entry.run} left its lane, and its record says ${record?.phase ?? "nothing"}`);
    }
  }

  function held(threadId: string, kind: string): void {
    for (const one of executions.live) {
      if (one.threadId === threadId && !facts.excused.has(one.token))
        broken("law 7", `${one.runId} executes beside the hold of a ${kind}`);
    }
  }

  function inOrder({ entries }: Lane): void {
    const joined = entries.filter((entry) => !isDelayed(entry));
    for (const [i, entry] of joined.entries()) {
      if (i > 0 && joined[i - 1]!.n >= entry.n) broken("law 7", `${entry.run} stands behind ${joined[i - 1]!.run}`);
    }
  }

  return { written, stored };
}

export const isSameEnd = (a: ToldEnd, b: ToldEnd): boolean =>
  a.status === b.status && a.action === b.action && a.outcome === b.outcome;

export const tell = ({ status, action, outcome }: ToldEnd): string =>
  [status, action, outcome].filter((word) => word !== undefined).join(" ");
