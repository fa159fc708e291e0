import { reduce } from "../../src/domain/thread/lane.ts";
import type { MultitaskStrategy } from "../../src/domain/transitions.ts";
import type { Rules } from "./lane-decide.ts";
import type { Bounds, NewRun } from "./lane-state.ts";
import { laneSystem } from "./lane-system.ts";
import { type Found, search } from "./search.ts";

/** How many states a search may have before it is taken for one without an end. */
const limit = 1_500_000;

export const enqueued: NewRun = { strategies: ["enqueue"] };
export const delayed: NewRun = { strategies: ["enqueue"], isDelayed: true };
export const anyOf = (...strategies: MultitaskStrategy[]): NewRun => ({ strategies });

export interface Extent extends Partial<Bounds> {
  readonly creations: readonly NewRun[];
}

/** A reducer that throws was made to do what the table of transitions forbids. */
export function explore(extent: Extent, rules: Partial<Rules> = {}): Found {
  try {
    return search(laneSystem({ reduce, without: new Set(), ...rules }, extent), limit);
  } catch (error) {
    return { states: 0, steps: 0, trace: [(error as Error).message] };
  }
}
