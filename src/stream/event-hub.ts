import { keyOfRun, type Run, type RunName } from "../domain/run/run.ts";
import type { EventChunk } from "../domain/run/run-events.ts";

/** How many chunks wait in memory for one reader; a slower one reads the log instead. */
const bufferedChunks = 256;

/** A reader's window on a run. */
export interface Feed {
  /**
   * What came since the last call; and the run, once it is over. `stale`: something happened that the chunks do not show; the
   * log and the run do.
   */
  take(): { chunks: EventChunk[]; ended: Run | undefined; stale: boolean };
  /** Resolves when there is something to take. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  close(): void;
}

interface Reader {
  chunks: EventChunk[];
  ended: Run | undefined;
  stale: boolean;
  wake: (() => void) | undefined;
}

/** Live fan-out of stored events to the readers in this server. `follow` is told of each reader, and what it answers of its end. */
export function createEventHub(follow: (run: RunName) => () => void = () => () => undefined) {
  const readersOf = new Map<string, Set<Reader>>();

  function notify(run: RunName, change: (reader: Reader) => void): void {
    for (const reader of readersOf.get(keyOfRun(run)) ?? []) {
      change(reader);
      reader.wake?.();
    }
  }

  return {
    open(run: RunName): Feed {
      const reader: Reader = { chunks: [], ended: undefined, stale: false, wake: undefined };
      const readers = readersOf.get(keyOfRun(run)) ?? new Set();
      readersOf.set(keyOfRun(run), readers.add(reader));
      const unfollow = follow(run);
      return {
        take() {
          const taken = { chunks: reader.chunks, ended: reader.ended, stale: reader.stale };
          reader.chunks = [];
          reader.stale = false;
          return taken;
        },
        ready(signal) {
          return new Promise((resolve, reject) => {
            const settle = (finish: () => void) => {
              signal.removeEventListener("abort", aborted);
              reader.wake = undefined;
              finish();
            };
            const aborted = () => settle(() => reject(signal.reason));
            reader.wake = () => settle(resolve);
            signal.addEventListener("abort", aborted, { once: true });
            if (signal.aborted) aborted();
            else if (reader.stale || reader.chunks.length > 0) reader.wake();
          });
        },
        close() {
          unfollow();
          readers.delete(reader);
          if (readers.size === 0 && readersOf.get(keyOfRun(run)) === readers) readersOf.delete(keyOfRun(run));
        },
      };
    },

    publish(run: RunName, chunk: EventChunk): void {
      notify(run, (reader) => {
        if (reader.chunks.length < bufferedChunks) reader.chunks.push(chunk);
        else {
          reader.chunks = [];
          reader.stale = true;
        }
      });
    },

    /** The log or the run may have changed in another server. */
    refresh(run: RunName): void {
      notify(run, (reader) => {
        reader.stale = true;
      });
    },

    /** The run is over for everybody. */
    end(run: Run): void {
      notify(run, (reader) => {
        reader.ended = run;
        reader.stale = true;
      });
    },

    /** Runs that have readers. */
    get size(): number {
      return readersOf.size;
    },
  };
}

export type EventHub = ReturnType<typeof createEventHub>;
