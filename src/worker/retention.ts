import { ifMerely } from "../domain/errors.ts";
import { goThrough, pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes, RunEventStore, RunStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Act } from "../domain/thread/act.ts";
import type { ThreadName } from "../domain/thread.ts";

export interface RetentionParts {
  readonly runs: Pick<RunStore, "eventsDue" | "eventsGone" | "recordsDue" | "removeRecord">;
  readonly lanes: Pick<Lanes, "expired">;
  readonly act: Pick<Act, "act">;
  readonly events: Pick<RunEventStore, "remove" | "discard">;
  /** The database's time. */
  readonly now: () => Date;
  readonly everyMs: number;
  /** Whether a round that begins is this server's. */
  readonly isMyRound: () => boolean;
  /** Removes a thread that is marked as being removed. */
  readonly removeThread: (name: ThreadName) => Promise<void>;
  readonly onError: (error: unknown, what: string) => void;
}

export interface Retention {
  stop(): Promise<void>;
}

/** What one query brings, how many of these a round goes through, and how much of one is removed at a time. */
const batchSize = 100;
const batchesARound = 10;
const atATime = 4;

/**
 * Removes what has been kept long enough: the events of runs that are over, later their records, and threads whose time to
 * live is over. Every server does it, by the same guarded and repeatable steps. What a round leaves is for the next.
 */
export function createRetention(parts: RetentionParts): Retention {
  const { runs, lanes, act, events, now } = parts;
  let stopped = false;
  /** The last that a round has come to, by its kind, if more are due behind it. */
  const leftOffAt = new Map<string, unknown>();
  const rounds = createRounds(round, {
    everyMs: parts.everyMs,
    onError: (error) => parts.onError(error, "a round"),
  });

  async function round(): Promise<void> {
    if (!parts.isMyRound()) return;
    // Records before events: what a record stands for has been gone for a round, so that no reader is half-way through it.
    await each("finished runs", runs.recordsDue, async ({ run }) => {
      await events.discard(run);
      await runs.removeRecord(run, now());
    });
    await each("events", runs.eventsDue, async ({ run }) => {
      await events.remove(run);
      await runs.eventsGone(run);
    });
    await each<FoundThread>("threads", (by, page) => lanes.expired(by.getTime(), page), removeThread);
  }

  /**
   * Goes through what is due, batch by batch, from where the last round has left off, so that whatever cannot be removed has
   * its turn again, and holds up nothing else.
   */
  async function each<T>(
    what: string,
    due: (by: Date, page: { readonly limit: number; readonly after?: T }) => Promise<T[]>,
    remove: (one: T) => Promise<void>,
  ): Promise<void> {
    const onError = (error: unknown) => parts.onError(error, what);
    const batches = pagesOf<T>(batchSize, ({ limit, after = leftOffAt.get(what) as T | undefined }) =>
      due(now(), { limit, after }),
    );
    try {
      await goThrough(firstOf(batches), remove, { atATime, isStopped: () => stopped, onError });
    } catch (error) {
      onError(error);
    }

    /** As many as a round takes. */
    async function* firstOf(all: AsyncIterable<T[]>): AsyncGenerator<T[]> {
      let taken = 0;
      for await (const batch of all) {
        yield batch;
        taken += 1;
        if (taken === batchesARound) return void leftOffAt.set(what, batch.at(-1));
      }
      leftOffAt.delete(what);
    }
  }

  /** Only if nothing has come to it in between. */
  async function removeThread(thread: FoundThread): Promise<void> {
    const acted = await act
      .act(thread, { kind: "change", remove: { when: "expired" } })
      // Another server was faster. What is left half-way here is found by the sweep.
      .catch(ifMerely("THREAD_NOT_FOUND"));
    if (acted?.answer.did === "done") await parts.removeThread(thread).catch(ifMerely("THREAD_NOT_FOUND"));
  }

  return {
    async stop() {
      stopped = true;
      await rounds.stop();
    },
  };
}
