import { coordinationBugs } from "./coordination-bugs.ts";
import { laneBugs } from "./lane-bugs.ts";
import { storageBugs } from "./storage-bugs.ts";

/** A deliberate bug: a guard, an order or a rule that is left out at one place of the source. The laws must find it. */
export interface Bug {
  /** What is wrong then, in a few words. */
  readonly what: string;
  /** Below src. */
  readonly file: string;
  /** What is replaced, each found exactly once, and by what. */
  readonly lines: readonly (readonly [from: string, to: string])[];
  /** 8,000 schedules may not be enough: something else keeps the laws most of the time, or what it takes is rare. */
  readonly isHardToFind?: true;
}

export const bugs: readonly Bug[] = [...laneBugs, ...storageBugs, ...coordinationBugs];
