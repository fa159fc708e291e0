import { create } from "@bufbuild/protobuf";
import { type RunEvent, RunEventSchema } from "../../../gen/reins/v1/run_event_pb.ts";
import type { Run } from "../../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { DomainError } from "../../domain/errors.ts";
import type { Invoke } from "../invoke.ts";
import { payloadFormat } from "../json/payload.ts";
import type { RunCreated } from "./run-created.ts";
import { type BegunRun, createThreadRuns, isOver } from "./thread-runs.ts";

const methods = RunService.method;

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
  readonly owner: string;
  readonly threadId: string;
  readonly start: FollowStart;
  readonly runCreated: RunCreated;
  /** How often to look for runs that were created in other servers. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
  /** Called once nothing of what comes can be missed any more, and perhaps again. */
  readonly ready: () => void;
}

/** How soon to look again for a run that waits for its turn or a slot. */
const waitingPollMs = 100;

/**
 * The events of all runs of a thread, run after run in the order in which they begin. Ends in no way but with an error: that of
 * the signal, or that of a thread which is gone.
 */
export async function* followThread(options: FollowOptions): AsyncGenerator<FollowedEvents> {
  const { invoke, owner, threadId, start, runCreated, signal, ready } = options;
  const everything = typeof start === "object" || start === "all";
  const runs = createThreadRuns({ invoke, threadId, everything });
  await runs.look();
  for (const { run } of behind(runs.begun(), start)) runs.pass(run.runId);
  const underWay = new Set(start === "now" ? runs.begun().map(({ run }) => run.runId) : []);

  while (true) {
    const next = await runs.take();
    if (next) {
      const after = typeof start === "object" ? start.after?.(next) : undefined;
      for await (const part of eventsOf(invoke, next, underWay.has(next.run.runId) ? "now" : (after ?? 0n))) {
        ready();
        yield part;
      }
    } else {
      ready();
      await runCreated.wait({ owner, threadId }, runs.isOneWaiting() ? waitingPollMs : options.pollMs, signal);
    }
    await runs.look();
  }
}

function behind(runs: readonly BegunRun[], start: FollowStart): readonly BegunRun[] {
  if (start === "all") return [];
  const over = runs.filter(({ run }) => isOver(run));
  // Runs are told to their end, so that a live one is never behind, whatever time its server's clock gave it.
  if (typeof start === "object") return over.filter((run) => start.isPast(run));
  return start === "newest" && over.length === runs.length ? over.slice(0, -1) : over;
}

async function* eventsOf(invoke: Invoke, begunRun: BegunRun, after: bigint | "now"): AsyncGenerator<FollowedEvents> {
  const { threadId, runId } = begunRun.run;
  const begin = after === "now" ? { fromNow: true } : { afterSequence: after };
  try {
    const tail = invoke.stream(methods.joinRunStream, { threadId, runId, ...begin, payloadFormat });
    for await (const { events } of tail) {
      // A run's own stream tells its end again to one who has seen it; this one goes on without.
      // An empty batch is passed on as well: it says that from here on nothing can be missed.
      const news = after === "now" ? events : events.filter(({ sequence }) => sequence > after);
      yield { ...begunRun, events: news };
    }
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    // Removed meanwhile: there is nothing left to tell.
    if (error.reason === "RUN_NOT_FOUND") return;
    const last = error.reason === "SEQUENCE_OUT_OF_RANGE" ? error.metadata.last_sequence : undefined;
    // No event of this run has that number.
    if (last !== undefined && after !== "now" && after > BigInt(last)) return;
    if (last === undefined || after === BigInt(last)) throw error;
    // Its events are no longer kept, but its beginning is known, and its end.
    if (after === 0n) yield { ...begunRun, events: [createdEvent(begunRun.run)] };
    yield* eventsOf(invoke, begunRun, BigInt(last));
  }
}

const createdEvent = ({ runId, threadId, graphId }: Run): RunEvent =>
  create(RunEventSchema, { sequence: 1n, event: { case: "created", value: { runId, threadId, graphId } } });
