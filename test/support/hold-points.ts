import type { AppParts } from "../../src/app.ts";
import type { Journal, JournalWriter } from "../../src/checkpoints/journal.ts";
import type { Run, RunName } from "../../src/domain/run.ts";
import type { AttemptHost, PlacedAttempt } from "../../src/worker/attempt-host.ts";
import { around, type Barrier, createBarrier } from "./barrier.ts";

/** Places on a run's way through the server at which a test can hold it. */
export type HoldPoint =
  /** A worker is about to claim it; it has been claimed and the worker does not know yet. */
  | "claim"
  | "claimed"
  /** Its child asks for the thread's state; a checkpoint of it is about to be stored, and is stored. */
  | "read"
  | "store"
  | "stored"
  /** Its child is about to be told to stop. */
  | "stop"
  /** Its outcome is about to be written, and is written. */
  | "finish"
  | "finished"
  /** It is settled as cancelled, and its thread does not know yet. */
  | "settled";

/** Barriers in a server, each for one run. Give `decorate` to the test app. */
export interface HoldPoints {
  decorate(parts: AppParts): AppParts;
  /** From now on the run is held there, until the barrier is opened. */
  hold(point: HoldPoint, runId: string): Barrier;
  /** Opens all barriers of the run. */
  release(runId: string): void;
  /** How often the run's record has been looked up. */
  lookups(runId: string): number;
}

export function createHoldPoints(): HoldPoints {
  const barriers = new Map<string, Barrier>();
  const found = new Map<string, number>();
  const at = (point: HoldPoint, runId: string | undefined) => barriers.get(`${point} ${runId}`)?.pass();

  function decorateWriter(writer: JournalWriter, runId: string | undefined): JournalWriter {
    return {
      ...around(writer, "read", { before: () => at("read", runId) }),
      async append(flush) {
        const hasCheckpoint = flush.checkpoints.length > 0;
        if (hasCheckpoint) await at("store", runId);
        await writer.append(flush);
        if (hasCheckpoint) await at("stored", runId);
      },
    };
  }

  const decorateJournal = (journal: Journal): Journal => ({
    ...journal,
    writer: async (options) => decorateWriter(await journal.writer(options), options.runId),
  });

  function decorateHost(host: AttemptHost): AttemptHost {
    const place: AttemptHost["place"] = (spec, hooks, options) => {
      // What spares the child of an empty thread its question is left out, so that it can be held there.
      const placed = host.place({ ...spec, isEmptyThread: undefined }, hooks, options);
      const stop: PlacedAttempt["stop"] = (action, reason) => {
        const held = at("stop", spec.runId);
        if (held) void held.then(() => placed!.stop(action, reason));
        else placed!.stop(action, reason);
      };
      return placed && { ...placed, stop };
    };
    // Its getters stay what they are.
    return Object.create(host, { place: { value: place } }) as AttemptHost;
  }

  return {
    decorate({ stores, journal, host }) {
      const claims = around(stores.runs, "claim", {
        before: (run) => at("claim", (run as Run).runId),
        after: (run) => at("claimed", (run as Run | undefined)?.runId),
      });
      const ends = around(claims, "finish", {
        before: (run) => at("finish", (run as RunName).runId),
        after: (run) => at("finished", (run as Run | undefined)?.runId),
      });
      const cancelled = around(ends, "settleCancelled", {
        after: (run) => at("settled", (run as Run | undefined)?.runId),
      });
      const runs = around(cancelled, "find", {
        before: (run) => found.set((run as RunName).runId, (found.get((run as RunName).runId) ?? 0) + 1),
      });
      return { stores: { ...stores, runs }, journal: decorateJournal(journal), host: decorateHost(host) };
    },
    hold(point, runId) {
      const barrier = createBarrier();
      barriers.set(`${point} ${runId}`, barrier);
      return barrier;
    },
    release(runId) {
      for (const [key, barrier] of barriers) if (key.endsWith(` ${runId}`)) barrier.open();
    },
    lookups: (runId) => found.get(runId) ?? 0,
  };
}
