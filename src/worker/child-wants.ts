import { nextToYield } from "./child-shares.ts";
import type { ChildWorker } from "./child-worker.ts";

export interface ChildWantsParts {
  /** Shared processes of one owner, and of all together, at most. */
  readonly children: number;
  readonly maxChildren: number;
  /** The shared processes that live. */
  readonly shared: () => readonly ChildWorker[];
  readonly freeIn: (worker: ChildWorker) => number;
  /** Makes one more that is nobody's; false when none may start now. */
  readonly start: () => boolean;
}

/** Owners whose runs find no room, and what is done so that they find some. */
export interface ChildWants {
  readonly owners: readonly string[];
  add(owner: string): void;
  delete(owner: string): void;
  /** Some other owner waits and has no process at all. */
  someHasNone(owner: string): boolean;
  /** Starts what may start, takes what is idle, and asks whoever has most, or has had his turn for longest, to give a process back. */
  serve(): void;
}

/** Whoever still waits asks again before that. */
const wantedMs = 15_000;
/** A process is left to its owner for so long at least. */
const turnMs = 1_000;

export function createChildWants({ children, maxChildren, shared, freeIn, start }: ChildWantsParts): ChildWants {
  const wants = new Map<string, number>();

  function waiting(): string[] {
    const now = performance.now();
    for (const [owner, at] of wants) if (now - at > wantedMs) wants.delete(owner);
    return [...wants.keys()];
  }

  /** The processes of each owner, without those that are being given back. */
  const kept = (): Map<string, ChildWorker[]> =>
    Map.groupBy(
      shared().filter(({ owner, yields }) => owner !== undefined && !yields),
      ({ owner }) => owner!,
    );

  /** Those that nobody has, ready or starting. */
  const ofNobody = () => shared().filter((worker) => worker.owner === undefined);

  /** False when nothing can be done now, for whomever. */
  function makeRoom(owners: readonly string[], isOnlyOne: boolean): boolean {
    const all = shared();
    if (all.length < maxChildren) return start();
    const foreign = all.filter(({ owner, yields }) => owner !== undefined && !yields && !wants.has(owner));
    const idle = foreign.find(({ isIdle }) => isIdle);
    if (idle) {
      idle.retire();
      return true;
    }
    if (!isOnlyOne) return false;
    const now = performance.now();
    const its = kept();
    const next = nextToYield(
      all.filter(({ ownedSince, yields }) => !yields && now - ownedSince >= turnMs),
      new Set(owners.filter((owner) => !its.has(owner))),
    );
    next?.giveBack();
    return next !== undefined;
  }

  return {
    get owners() {
      return waiting();
    },
    add: (owner) => void wants.set(owner, performance.now()),
    delete: (owner) => void wants.delete(owner),
    someHasNone(owner) {
      const its = kept();
      return waiting().some((other) => other !== owner && !its.has(other));
    },

    serve() {
      const owners = waiting();
      if (owners.length === 0) return;
      let its = kept();
      const of = (owner: string) => its.get(owner) ?? [];
      // A process that is coming is for one of those who wait, and so is one that is being given back.
      let coming = ofNobody().length + shared().filter(({ yields }) => yields).length;
      // Thousands may wait, and each that joins them asks for this: it ends where nothing is left to be done.
      for (const owner of owners.toSorted((a, b) => of(a).length - of(b).length)) {
        const mine = of(owner);
        if (mine.some((worker) => freeIn(worker) > 0) || mine.some(({ isReady }) => !isReady)) continue;
        if (mine.length >= children) continue;
        if (coming > 0) {
          coming -= 1;
          continue;
        }
        if (!makeRoom(owners, mine.length === 0)) return;
        its = kept();
      }
    },
  };
}
