import { DomainError } from "../domain/errors.ts";
import type { RunEventStore } from "../domain/ports.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { EventChunk, WholeEvent } from "../domain/run/run-events.ts";
import type { StreamMode } from "../domain/transitions.ts";
import type { EventHub, Feed } from "./event-hub.ts";
import type { OpenEventLog } from "./event-log.ts";

/** An event with its number. The first one and the terminal one are derived from the run and not stored. */
export type NumberedEvent = { readonly sequence: number } & (
  | WholeEvent
  | { readonly kind: "created"; readonly run: Run }
  | { readonly kind: "ended"; readonly run: Run }
);

export interface TailOptions {
  readonly run: Run;
  /** "now": only what comes. The created event then has the number of the newest one that there is. */
  readonly afterSequence: number | "now";
  /** Begin with the created event also after a sequence; it then has that number. */
  readonly names?: boolean;
  /** Only output of these modes; of all when empty. */
  readonly modes: readonly StreamMode[];
  readonly signal: AbortSignal;
  /** Opened before the run was created, so that nothing of the run can have gone by: the log need not be read first. */
  readonly feed?: Feed;
}

export interface TailSources {
  readonly events: Pick<RunEventStore, "head">;
  readonly openLog: OpenEventLog;
  readonly hub: Pick<EventHub, "open">;
  /** The run once it is over for everybody (its thread knows), also after a rollback; undefined while it lives. */
  readonly ended: (run: RunName) => Promise<Run | undefined>;
  /** Whether the run's events are being removed, or have been, by a rollback or with the run. */
  readonly isRemoved: (run: RunName) => Promise<boolean>;
  /** Does it as soon as the database is there; until the signal aborts. */
  readonly whileAway: <T>(what: () => Promise<T>, signal: AbortSignal) => Promise<T>;
}

/**
 * Replays a run's events after a sequence number, then follows it; after the terminal event's number there is that event once
 * more. Yields batches; ends after the terminal event, and in no other way without an error: a database that is away only
 * delays it, once it has begun. Throws SEQUENCE_OUT_OF_RANGE when the sequence is no longer kept or not yet reached; of a run
 * that is over, before the first batch. That comes at once, and is empty where nothing is new yet.
 */
export async function* tail(sources: TailSources, options: TailOptions): AsyncGenerator<NumberedEvent[]> {
  const { run, signal, modes } = options;
  const feed = options.feed ?? sources.hub.open(run);
  const log = sources.openLog(run);
  let next = 1;
  /** The log as it was before the first batch, where a look was needed. */
  let looked: { readonly at: number; readonly chunks: EventChunk[] } | undefined;

  /** A reader of a run that is over is told before its answer begins that the events it asks for have expired. */
  async function checkKept(): Promise<void> {
    const { lastSequence: last } = run;
    if (run.phase !== "over" || last === undefined || next > last) return;
    looked = { at: next, chunks: await log.from(next) };
    const first = looked.chunks[0]?.first ?? Number.POSITIVE_INFINITY;
    if (first > next && !(await sources.isRemoved(run))) throw notKept(run, next);
  }

  /** What of the chunks is new to this reader. */
  function advance(chunks: readonly EventChunk[]): NumberedEvent[] {
    const batch: NumberedEvent[] = [];
    for (const chunk of chunks) {
      if (chunk.first > next) break;
      for (const [offset, event] of chunk.events.entries()) {
        const sequence = chunk.first + offset;
        if (sequence < next) continue;
        if (event.kind !== "output" || modes.length === 0 || modes.includes(event.mode))
          batch.push({ ...event, sequence });
        next = sequence + 1;
      }
    }
    return batch;
  }

  try {
    const { afterSequence } = options;
    if (afterSequence === 0 || afterSequence === "now") {
      const sequence = afterSequence === 0 ? 1 : Math.max(1, (await lastSequence(sources, run)).sequence);
      next = sequence + 1;
      if (options.feed === undefined) await checkKept();
      yield [{ kind: "created", run, sequence }];
    } else {
      const last = await lastSequence(sources, run);
      checkReached(last, run, afterSequence);
      // Who has seen the terminal event gets it once more: a stream that ended without one would look cut off.
      next = Math.min(afterSequence, last.sequence) + 1;
      await checkKept();
      yield options.names ? [{ kind: "created", run, sequence: afterSequence }] : [];
    }
    for (let isFirst = options.feed !== undefined; ; isFirst = false) {
      const live = feed.take();
      // A reader who has been there from the beginning needs the log only for what its feed does not hold.
      let readLog = !isFirst || live.stale || (live.chunks[0]?.first ?? next) > next;
      if (live.chunks.length > 0 && live.chunks[0]!.first <= next) {
        const batch = advance(live.chunks);
        if (batch.length > 0) yield batch;
        readLog = live.stale || next <= live.chunks.at(-1)!.last;
      }
      if (live.ended && next === live.ended.lastSequence! + 1) {
        yield [{ kind: "ended", run: live.ended, sequence: next }];
        return;
      }
      while (readLog) {
        signal.throwIfAborted();
        // Asked before the log is read: what the log holds after that is all there will be.
        const ended = await sources.whileAway(() => sources.ended(run), signal);
        const known = looked?.at === next ? looked.chunks : undefined;
        looked = undefined;
        const chunks = known ?? (await sources.whileAway(() => log.from(next), signal));
        const from = next;
        // Events are stored in order, so what lies between is gone: for good, unless a rollback is just removing them all.
        if (chunks.length > 0 && chunks[0]!.first > next && !(await sources.isRemoved(run))) throw notKept(run, next);
        const batch = advance(chunks);
        if (batch.length > 0) yield batch;
        if (ended && next === from) {
          // The terminal event follows the last stored one. With fewer than were stored the others have expired; but those of
          // a run that was rolled back or deleted went on purpose, and a reader that was still attached gets its end next.
          if (next <= ended.lastSequence! && !(await sources.isRemoved(run))) throw notKept(ended, next);
          yield [{ kind: "ended", run: ended, sequence: next }];
          return;
        }
        readLog = next > from;
      }
      log.rest();
      await feed.ready(signal);
    }
  } finally {
    feed.close();
    log.close();
  }
}

/** The last event that is stored: of those before the terminal one, when the run is over. */
async function lastSequence({ events, ended }: TailSources, run: Run): Promise<{ sequence: number; isOver: boolean }> {
  const over = await ended(run);
  return { sequence: over ? over.lastSequence! : (await events.head(run)).last, isOver: over !== undefined };
}

function checkReached({ sequence, isOver }: { sequence: number; isOver: boolean }, run: Run, after: number): void {
  const last = isOver ? sequence + 1 : sequence;
  if (after <= last) return;
  throw new DomainError(
    "SEQUENCE_OUT_OF_RANGE",
    `after_sequence ${after} is not reached: the last event of run ${run.runId} ${isOver ? "was" : "is"} ${last}; ` +
      `use 0 to ${last}`,
    { metadata: { last_sequence: String(last) } },
  );
}

function notKept({ runId, lastSequence }: Run, next: number): DomainError {
  const kept = lastSequence === undefined ? "" : `; use after_sequence ${lastSequence} to get its terminal event`;
  return new DomainError(
    "SEQUENCE_OUT_OF_RANGE",
    `the events of run ${runId} after ${next - 1} are no longer kept${kept}`,
    { metadata: lastSequence === undefined ? {} : { last_sequence: String(lastSequence) } },
  );
}
