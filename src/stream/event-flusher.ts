import { setImmediate as nextTurn } from "node:timers/promises";
import type { RunEventStore } from "../domain/ports.ts";
import type { NewChunk } from "../domain/run-events.ts";

interface Pending {
  readonly chunk: NewChunk;
  readonly resolve: (landed: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: one insert of many chunks is under way at a time, and what gathers meanwhile goes with the next. One
 * instance a server.
 */
export function createEventFlusher(store: Pick<RunEventStore, "insert">) {
  let waiting: Pending[] = [];
  let busy = false;

  async function pump(): Promise<void> {
    busy = true;
    // What comes in the same turn of the event loop goes together: the output of all runs in a process.
    await nextTurn();
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        const taken = await store.insert(batch.map((one) => one.chunk));
        for (const [position, one] of batch.entries()) one.resolve(!taken.has(position));
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    busy = false;
  }

  return {
    /** Resolves to false when the chunk's number was taken. */
    insert(chunk: NewChunk): Promise<boolean> {
      return new Promise((resolve, reject) => {
        waiting.push({ chunk, resolve, reject });
        if (!busy) void pump();
      });
    },
  };
}

export type EventFlusher = ReturnType<typeof createEventFlusher>;
