import { keyOfRun, type RunName } from "../domain/run/run.ts";

/** Who waits for runs or reads their events in this server, whatever is to happen when they leave. */
export interface WatcherCount {
  /** From now on the run has one more watcher. */
  attach(run: RunName, isStored: boolean): CountedWatcher;
  /** Hands left wishes on to those who watch the run now; false when nobody does. */
  inherit(run: RunName, left: readonly string[]): boolean;
}

/** One watcher that is counted. */
export interface CountedWatcher {
  /** The database knows of it. */
  readonly isStored: boolean;
  /**
   * The watcher goes, with or without leaving its wish to cancel behind. The last one gets the wishes of all who left:
   * undefined when others are still there.
   */
  depart(leftBehind?: string): LastWatcher | undefined;
}

export interface LastWatcher {
  readonly left: readonly string[];
  /** The database knew of it, or of one before it: those who left other servers may count on a look when the last one goes. */
  readonly wereStored: boolean;
}

interface Watched {
  count: number;
  wereStored: boolean;
  readonly left: Set<string>;
}

export function createWatcherCount(): WatcherCount {
  const runs = new Map<string, Watched>();

  return {
    attach(run, isStored) {
      const key = keyOfRun(run);
      const watched = runs.get(key) ?? { count: 0, wereStored: false, left: new Set() };
      runs.set(key, watched);
      watched.count += 1;
      watched.wereStored ||= isStored;
      return {
        isStored,
        depart(leftBehind) {
          watched.count -= 1;
          if (leftBehind !== undefined) watched.left.add(leftBehind);
          if (watched.count > 0) return undefined;
          runs.delete(key);
          return { left: [...watched.left], wereStored: watched.wereStored };
        },
      };
    },

    inherit(run, left) {
      const watched = runs.get(keyOfRun(run));
      if (!watched) return false;
      for (const id of left) watched.left.add(id);
      watched.wereStored = true;
      return true;
    },
  };
}
