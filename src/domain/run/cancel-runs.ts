import { setImmediate } from "node:timers/promises";
import { type DomainError, orThrow } from "../errors.ts";
import { runNotFound } from "../not-found.ts";
import { groupsOf } from "../pages-of.ts";
import type { Lanes, RunStore } from "../ports.ts";
import type { Act, Acted } from "../thread/act.ts";
import { isAsStrong } from "../thread/cancel.ts";
import type { CancelAnswer, CancelWish } from "../thread/commands.ts";
import { entryOf, statusOf } from "../thread/entry.ts";
import { asInLane } from "../thread/project.ts";
import { errorOf, runIsOver } from "../thread/refusals.ts";
import { keyOfThread } from "../thread.ts";
import type { CancelRequest } from "./cancel-request.ts";
import { keyOfRun, type Run, type RunName } from "./run.ts";

export interface CancelRunsParts {
  readonly runs: Pick<RunStore, "find" | "findMany" | "tombstone" | "tombstones">;
  readonly act: Act;
  /** The record of a run that executes here, where it is at hand. */
  readonly recordAtHand: (name: RunName) => Run | undefined;
}

export interface CancelRuns {
  /**
   * Stores the wish to stop a run; from then on it will be cancelled whatever crashes. Throws RUN_NOT_FOUND, or
   * RUN_NOT_CANCELLABLE when the run ended otherwise. A repeat answers the run as it is.
   */
  cancel(name: RunName, request: CancelRequest): Promise<Run>;
  /**
   * The same for many runs of one call: those of a thread in one decision, and all of them before the first run is signalled,
   * so that stopping one never starts the next.
   */
  cancelAll(names: readonly RunName[], request: CancelRequest): Promise<Map<string, Run | DomainError>>;
}

/** Decisions at a time. */
const sideBySide = 8;

export function createCancelRuns({ runs, act, recordAtHand }: CancelRunsParts): CancelRuns {
  /** Of a run that its lane does not know any more: it is over, or gone. */
  async function asItWas(name: RunName, request: CancelRequest): Promise<Run> {
    const run = await runs.find(name);
    if (!run) return lastRecord(request.refuseRepeat ? undefined : await runs.tombstone(name), name, request);
    const decided = run.phase === "over" ? alreadyDecided(run, request) : undefined;
    if (decided) return decided;
    // A record without an entry in its lane: the entry has not come yet, and may never, or has left this very moment.
    throw runNotFound(name);
  }

  async function answerOf(name: RunName, cancel: CancelAnswer, request: CancelRequest, known?: Run): Promise<Run> {
    const { result, entry } = cancel;
    if (result === "unknown" || !entry) return asItWas(name, request);
    if (result === "refused" || (entry.phase === "over" && result === "already" && request.refuseRepeat)) {
      throw errorOf(runIsOver({ ...name, status: statusOf(entry) }));
    }
    const run = known ?? (await runs.find(name)) ?? (await runs.tombstone(name));
    if (!run) throw runNotFound(name);
    return asInLane(run, entry);
  }

  async function cancel(name: RunName, request: CancelRequest): Promise<Run> {
    const wish = wishOf(request);
    // It may have come to its end, and gone from there, by the time that the cancel is answered.
    const known = recordAtHand(name);
    const acted = await act.act(name, { kind: "requestCancel", runs: [name.runId], wish });
    if (!acted) return asItWas(name, request);
    return answerOf(name, acted.answer.cancels![0]!, request, known);
  }

  async function cancelAll(names: readonly RunName[], request: CancelRequest): Promise<Map<string, Run | DomainError>> {
    const results = new Map<string, Run | DomainError>();
    const { live, gone } = await lookUp(runs, names);
    for await (const [name, last] of inSlices(gone)) {
      results.set(
        name.runId,
        orError(() => lastRecord(request.refuseRepeat ? undefined : last, name, request)),
      );
    }
    const decided: [Acted | undefined, readonly Run[]][] = [];
    const wish = wishOf(request);
    const byThread = [...Map.groupBy(live, keyOfThread).values()];
    for (const group of groupsOf(byThread, sideBySide)) {
      decided.push(...(await Promise.all(group.map((ofThread) => decideOn(ofThread, wish)))));
    }
    for (const group of groupsOf(decided, sideBySide)) {
      await Promise.all(group.map(([acted]) => acted && act.follow(acted)));
      await Promise.all(group.map((one) => answerAll(one, request, results)));
    }
    return results;
  }

  async function decideOn(ofThread: readonly Run[], wish: CancelWish): Promise<[Acted | undefined, readonly Run[]]> {
    const named = ofThread.filter(({ phase }) => phase !== "over").map(({ runId }) => runId);
    if (named.length === 0) return [undefined, ofThread];
    return [await act.decide(ofThread[0]!, { kind: "requestCancel", runs: named, wish }), ofThread];
  }

  async function answerAll(
    [acted, ofThread]: [Acted | undefined, readonly Run[]],
    request: CancelRequest,
    results: Map<string, Run | DomainError>,
  ): Promise<void> {
    const cancels = new Map(acted?.answer.cancels?.map((cancel) => [cancel.run, cancel]));
    for (const run of ofThread) {
      const answer = cancels.get(run.runId);
      results.set(
        run.runId,
        await (answer ? answerOf(run, answer, request, run) : asItWas(run, request)).catch(orThrow),
      );
    }
  }

  return { cancel, cancelAll };
}

const wishOf = ({ action, reason, requestedBy, actor, causeRunId }: CancelRequest): CancelWish => ({
  action,
  reason,
  by: requestedBy,
  actor,
  cause: causeRunId,
});

/** Names of one look-up. */
const atOnce = 1000;

/** Where runs stand: those that have a record, and of the others the last one, while that is kept. */
export async function lookUp(
  runs: Pick<RunStore, "findMany" | "tombstones">,
  names: readonly RunName[],
): Promise<{ live: Run[]; gone: [RunName, Run | undefined][] }> {
  const live: Run[] = [];
  const gone: [RunName, Run | undefined][] = [];
  for (const some of groupsOf(names, atOnce)) {
    const found = byName(await runs.findMany(some));
    const missing = some.filter((name) => !found.has(keyOfRun(name)));
    const last = missing.length > 0 ? byName(await runs.tombstones(missing)) : new Map<string, Run>();
    live.push(...some.flatMap((name) => found.get(keyOfRun(name)) ?? []));
    gone.push(...missing.map((name): [RunName, Run | undefined] => [name, last.get(keyOfRun(name))]));
  }
  return { live, gone };
}

/** The runs as their lanes have them; those that are over are so in their records as well. */
export async function asTheyAre(lanes: Pick<Lanes, "readMany">, runs: readonly Run[]): Promise<Run[]> {
  const threads = new Map(
    runs
      .filter(({ phase }) => phase !== "over")
      .map((run) => [keyOfThread(run), { owner: run.owner, threadId: run.threadId }]),
  );
  const stored = new Map<string, Awaited<ReturnType<Lanes["readMany"]>>[number]>();
  for (const some of groupsOf([...threads.values()], atOnce)) {
    for (const one of await lanes.readMany(some)) stored.set(keyOfThread(one.origin), one);
  }
  return runs.map((run) => {
    const control = stored.get(keyOfThread(run))?.control;
    const entry = control && entryOf(control, run.runId);
    return entry ? asInLane(run, entry) : run;
  });
}

/** The items of a list, with a turn for everybody else now and then: to make an error with its stack for each takes long. */
export async function* inSlices<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const some of groupsOf(items, atOnce)) {
    yield* some;
    await setImmediate();
  }
}

const byName = (found: readonly Run[]): Map<string, Run> => new Map(found.map((run) => [keyOfRun(run), run]));

/** The last record of a run that is gone, for whoever repeats the cancel that ended it. Throws RUN_NOT_FOUND for anybody else. */
export function lastRecord(last: Run | undefined, name: RunName, { action }: Pick<CancelRequest, "action">): Run {
  if (last?.status !== "interrupted" || last.cancellation?.action !== action) throw runNotFound(name);
  return last;
}

/** What it answers, or the domain's error. */
export function orError<T>(answer: () => T): T | DomainError {
  try {
    return answer();
  } catch (error) {
    return orThrow(error);
  }
}

/**
 * The run when a request would change nothing: it is over, or a request as strong is stored. Throws RUN_NOT_CANCELLABLE when
 * it ended otherwise, or repeats are refused.
 */
export function alreadyDecided(
  run: Run,
  { action, refuseRepeat }: Pick<CancelRequest, "action" | "refuseRepeat">,
): Run | undefined {
  const stored = run.cancellation?.action;
  if (run.phase === "over") {
    if (run.status === "interrupted" && stored === action && !refuseRepeat) return run;
    throw errorOf(runIsOver(run));
  }
  if (run.phase === "rolling_back") return run;
  return isAsStrong(stored, action) ? run : undefined;
}
