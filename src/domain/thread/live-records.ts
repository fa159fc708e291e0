import type { RunStore } from "../ports.ts";
import { keyOfRun, type RunName } from "../run/run.ts";
import type { Projection } from "./project.ts";

/** Brings the records of live runs up to their entries, a moment later: lists follow lanes, and nobody waits for it. */
export interface LiveRecords {
  bringUp(run: RunName, projection: Projection): void;
  /** Its record is stored as what it says at its end: nothing else need be. */
  isOver(run: RunName): void;
  /** Resolves when the records say all that was to be brought up before: whoever lists runs reads what he was told. */
  broughtUp(): Promise<void>;
}

/** Of a run that is over by then nothing but its end is stored; of all others what they have come to, with one command. */
const afterMs = 50;

export function createLiveRecords(
  { project }: Pick<RunStore, "project">,
  failed: (error: unknown) => void,
): LiveRecords {
  let waiting = new Map<string, { readonly run: RunName; readonly projection: Projection }>();
  const underWay = new Set<Promise<unknown>>();

  function store(): void {
    const all = waiting.values();
    waiting = new Map();
    for (const { run, projection } of all) {
      // The run's next change brings another chance.
      const stored: Promise<unknown> = project(run, projection)
        .catch(failed)
        .finally(() => underWay.delete(stored));
      underWay.add(stored);
    }
  }

  return {
    bringUp(run, projection) {
      const before = waiting.get(keyOfRun(run))?.projection;
      if (before && before.changes >= projection.changes) return;
      if (waiting.size === 0) setTimeout(store, afterMs).unref();
      waiting.set(keyOfRun(run), { run, projection });
    },
    isOver: (run) => void waiting.delete(keyOfRun(run)),

    async broughtUp() {
      store();
      await Promise.all(underWay);
    },
  };
}
