import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RunEvent } from "../../../gen/reins/v1/run_event_pb.ts";
import { type Run, RunStatus } from "../../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { DomainError } from "../../domain/errors.ts";
import type { Invoke } from "../invoke.ts";
import { payloadFormat } from "../json/payload.ts";
import type { ThreadBell } from "./thread-bell.ts";

const methods = RunService.method;

/** A run that has begun, with the time at which it did: a thread's runs begin one after the other. */
export interface BegunRun {
  readonly run: Run;
  /** Milliseconds; of a run that was cancelled before it began, when it ended. */
  readonly at: number;
}

/** Some events of a run, in order. */
export interface FollowedEvents extends BegunRun {
  readonly events: readonly RunEvent[];
}

/**
 * Where to begin: at what comes now; at the run that is under way, or else the newest one; at the first run that is kept; or
 * where `isPast` says that a run is behind, with `after` as the last event that was seen of one that is not.
 */
export type FollowStart =
  | "now"
  | "newest"
  | "all"
  | { isPast(run: BegunRun): boolean; after?(run: BegunRun): bigint | undefined };

export interface FollowOptions {
  readonly invoke: Invoke;
  readonly threadId: string;
  readonly start: FollowStart;
  readonly bell: ThreadBell;
  /** How often to look for runs that were created in other servers. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
}

/** How soon to look again for a run that waits for its turn or a slot. */
const waitingPollMs = 100;
const pageSize = 100;

/**
 * The events of all runs of a thread, run after run in the order in which they begin. Ends in no way but with an error: that of
 * the signal, or that of a thread which is gone.
 */
export async function* followThread(options: FollowOptions): AsyncGenerator<FollowedEvents> {
  const { invoke, threadId, start, bell, signal } = options;
  const passed = new Set<string>();
  let waiting = new Set<string>();

  /** Runs of the thread, among them all that are live, and those that were live when this was last called. */
  async function look(everything: boolean): Promise<Run[]> {
    const found = new Map<string, Run>();
    const add = async (statuses: RunStatus[], all: boolean) => {
      let pageToken = "";
      do {
        const page = await invoke.call(methods.listRuns, { threadId, statuses, pageSize, pageToken, payloadFormat });
        for (const run of page.runs) found.set(run.runId, run);
        pageToken = page.nextPageToken;
      } while (all && pageToken !== "");
    };
    await add([], everything);
    await add([RunStatus.PENDING, RunStatus.RUNNING], true);
    for (const runId of waiting) {
      if (found.has(runId)) continue;
      const run = await orUndefined(invoke.call(methods.getRun, { threadId, runId, payloadFormat }));
      if (run) found.set(runId, run.run!);
    }
    const runs = [...found.values()];
    waiting = new Set(runs.filter((run) => begunAt(run) === undefined).map(({ runId }) => runId));
    return runs;
  }

  let runs = await look(typeof start === "object" || start === "all");
  for (const { run } of behind(begun(runs), start)) passed.add(run.runId);
  const underWay = start === "now" ? runs.find(({ status }) => status === RunStatus.RUNNING)?.runId : undefined;

  while (true) {
    const next = begun(runs).find(({ run }) => !passed.has(run.runId));
    if (next) {
      passed.add(next.run.runId);
      const after = typeof start === "object" ? start.after?.(next) : undefined;
      yield* eventsOf(invoke, next, next.run.runId === underWay ? "now" : (after ?? 0n));
    } else {
      const isSoon = runs.some((run) => run.status === RunStatus.PENDING && !run.dueAt);
      await bell.heard(threadId, isSoon ? waitingPollMs : options.pollMs, signal);
    }
    runs = await look(false);
  }
}

/** Runs that have begun, in that order. */
const begun = (runs: readonly Run[]): BegunRun[] =>
  runs
    .flatMap((run) => {
      const at = begunAt(run);
      return at === undefined ? [] : [{ run, at }];
    })
    .sort((a, b) => a.at - b.at || (a.run.runId < b.run.runId ? -1 : 1));

function begunAt({ status, startedAt, endedAt }: Run): number | undefined {
  // A run that was handed back began all the same, but is not under way: what it put out before is told when it goes on.
  if (status === RunStatus.PENDING) return undefined;
  const time = startedAt ?? endedAt;
  return time && timestampMs(time);
}

function behind(runs: readonly BegunRun[], start: FollowStart): readonly BegunRun[] {
  if (start === "all") return [];
  if (typeof start === "object") return runs.filter((run) => start.isPast(run));
  const over = runs.filter(({ run }) => run.status !== RunStatus.RUNNING);
  return start === "newest" && over.length === runs.length ? over.slice(0, -1) : over;
}

async function* eventsOf(invoke: Invoke, begunRun: BegunRun, after: bigint | "now"): AsyncGenerator<FollowedEvents> {
  const { threadId, runId } = begunRun.run;
  const begin = after === "now" ? { fromNow: true } : { afterSequence: after };
  try {
    const tail = invoke.stream(methods.joinRunStream, { threadId, runId, ...begin, payloadFormat });
    for await (const { events } of tail) yield { ...begunRun, events };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    // Removed meanwhile: there is nothing left to tell.
    if (error.reason === "RUN_NOT_FOUND") return;
    const last = error.reason === "SEQUENCE_OUT_OF_RANGE" ? error.metadata.last_sequence : undefined;
    // Its end has been seen already.
    if (last !== undefined && after !== "now" && after > BigInt(last)) return;
    if (last === undefined || after === BigInt(last)) throw error;
    // Its events are no longer kept, but its end is.
    yield* eventsOf(invoke, begunRun, BigInt(last));
  }
}

const orUndefined = <T>(found: Promise<T>): Promise<T | undefined> =>
  found.catch((error: unknown) => {
    if (error instanceof DomainError && error.reason === "RUN_NOT_FOUND") return undefined;
    throw error;
  });
