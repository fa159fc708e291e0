import { ifMerely } from "../domain/errors.ts";
import { groupsOf } from "../domain/pages-of.ts";
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
  const rounds = createRounds(round, {
    everyMs: parts.everyMs,
    onError: (error) => parts.onError(error, "a round"),
  });

  async function round(): Promise<void> {
    if (!parts.isMyRound()) return;
    // Records before events: what a record stands for has been gone for a round, so that no reader is half-way through it.
    await each("finished runs", runs.recordsDue, async (run) => {
      await events.discard(run);
      await runs.removeRecord(run, now());
    });
    await each("events", runs.eventsDue, async (run) => {
      await events.remove(run);
      await runs.eventsGone(run);
    });
    await each("threads", (by, limit) => lanes.expired(by.getTime(), { limit }), removeThread);
  }

  /** Goes through what is due, batch by batch, as long as each brings something to do. */
  async function each<T>(
    what: string,
    due: (before: Date, limit: number) => Promise<T[]>,
    remove: (one: T) => Promise<void>,
  ): Promise<void> {
    try {
      for (let batch = 0; batch < batchesARound && !stopped; batch++) {
        const found = await due(now(), batchSize);
        for (const some of groupsOf(found, atATime)) if (!stopped) await Promise.all(some.map(remove));
        if (found.length < batchSize) return;
      }
    } catch (error) {
      parts.onError(error, what);
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
