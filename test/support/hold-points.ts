import type { AppParts } from "../../src/app.ts";
import type { Journal, JournalWriter } from "../../src/checkpoints/journal.ts";
import type { FoundThread, Lanes, RunStore } from "../../src/domain/ports.ts";
import type { RunName } from "../../src/domain/run/run.ts";
import { firstInTurn } from "../../src/domain/thread/entry.ts";
import type { Projection } from "../../src/domain/thread/project.ts";
import type { ThreadName } from "../../src/domain/thread.ts";
import type { AttemptHost, PlacedAttempt } from "../../src/worker/attempt-host.ts";
import { around, type Barrier, createBarrier } from "./barrier.ts";

/** Places on a run's way through the server at which a test can hold it. A decision is none: others wait for its end. */
export type HoldPoint =
  /** It is first in its lane and waits for a worker, of which there is none meanwhile, for any run. */
  | "claim"
  /** It is claimed, and its child does not know yet. */
  | "claimed"
  /** Its child asks for the thread's state; a checkpoint of it is about to be stored, and is stored. */
  | "read"
  | "store"
  | "stored"
  /** Its child is about to be told to stop. */
  | "stop"
  /** Its outcome is about to be written. */
  | "finish"
  /** Its outcome is written, or it is settled as cancelled, and nobody has been told yet. */
  | "finished"
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
  /** How often a thread's lane has been read. */
  looks(threadId: string): number;
}

export function createHoldPoints(): HoldPoints {
  const barriers = new Map<string, Barrier>();
  /** The runs that are held before their claim. */
  const unclaimed = new Set<string>();
  const found = new Map<string, number>();
  const at = (point: HoldPoint, runId: string | undefined) => barriers.get(`${point} ${runId}`)?.pass();
  const count = (id: string) => found.set(id, (found.get(id) ?? 0) + 1);

  function decorateWriter(writer: JournalWriter, runId: string | undefined): JournalWriter {
    return {
      ...around(around(writer, "read", { before: () => at("read", runId) }), "close", {
        before: () => at("finish", runId),
      }),
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
    async writer(options) {
      await at("claimed", options.runId);
      return decorateWriter(await journal.writer(options), options.runId);
    },
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
    // Its other getters stay what they are.
    return Object.create(host, {
      place: { value: place },
      freeSlots: { get: () => (unclaimed.size > 0 ? 0 : host.freeSlots) },
      hasRoom: { value: (...of: Parameters<AttemptHost["hasRoom"]>) => unclaimed.size === 0 && host.hasRoom(...of) },
    }) as AttemptHost;
  }

  function decorateLanes(lanes: Lanes): Lanes {
    const readies = around(lanes, "ready", {
      after: (threads) => {
        for (const { lane } of threads as FoundThread[]) void at("claim", firstInTurn(lane)?.run);
      },
    });
    return around(readies, "read", { before: (thread) => count((thread as ThreadName).threadId) });
  }

  function decorateRuns(runs: RunStore): RunStore {
    const finds = around(runs, "find", { before: (run) => count((run as RunName).runId) });
    return {
      ...finds,
      async project(name: RunName, projection: Projection) {
        if (projection.phase === "over") await at(projection.cancellation ? "settled" : "finished", name.runId);
        return runs.project(name, projection);
      },
    };
  }

  return {
    decorate: ({ stores, journal, host, ...parts }) => ({
      ...parts,
      stores: { ...stores, lanes: decorateLanes(stores.lanes), runs: decorateRuns(stores.runs) },
      journal: decorateJournal(journal),
      host: decorateHost(host),
    }),
    hold(point, runId) {
      const barrier = createBarrier();
      if (point !== "claim") barriers.set(`${point} ${runId}`, barrier);
      else {
        unclaimed.add(runId);
        const open = () => {
          unclaimed.delete(runId);
          barrier.open();
        };
        barriers.set(`${point} ${runId}`, { ...barrier, open });
      }
      return barriers.get(`${point} ${runId}`)!;
    },
    release(runId) {
      for (const [key, barrier] of barriers) if (key.endsWith(` ${runId}`)) barrier.open();
    },
    lookups: (runId) => found.get(runId) ?? 0,
    looks: (threadId) => found.get(threadId) ?? 0,
  };
}
