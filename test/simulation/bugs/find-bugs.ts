import { availableParallelism } from "node:os";
import { playApart } from "../play-side-by-side.ts";
import { bugs } from "./bugs.ts";

export interface Found {
  readonly what: string;
  /** After so many schedules, and by which law; absent when it was not found. */
  readonly schedules?: number;
  readonly by?: string;
  readonly output: string;
}

/** Plays schedules with one bug, in a process of its own, until a law is broken. */
export async function findBug(index: number, seeds: number): Promise<Found> {
  const { what } = bugs[index]!;
  const { output } = await playApart(["--bug", String(index), "--seeds", String(seeds)]);
  const [, seed, by] = /^seed (\d+): ([^\n]*)/m.exec(output) ?? [];
  return seed === undefined ? { what, output } : { what, schedules: Number(seed), by, output };
}

const all = bugs.map((_, index) => index);

/** All of them, as many at a time as there are cores; tells how many schedules each has taken. */
export async function findBugs(
  seeds: number,
  wanted: readonly number[] = all,
  processes = availableParallelism(),
): Promise<readonly Found[]> {
  const found: Found[] = [];
  const waiting = [...wanted];
  async function work(): Promise<void> {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const one = await findBug(index, seeds);
      found.push(one);
      const told = one.schedules === undefined ? "NOT FOUND" : `after ${String(one.schedules).padStart(4)}`;
      console.log(`${told}  ${String(index).padStart(2)} ${one.what}${one.by ? `  (${one.by.slice(0, 110)})` : ""}`);
      if (one.schedules === undefined) console.log(one.output.slice(-300));
    }
  }
  await Promise.all(Array.from({ length: processes }, work));
  const missed = found.filter(({ schedules }) => schedules === undefined).length;
  console.log(missed === 0 ? `${found.length} bugs, all found` : `${missed} of ${found.length} bugs not found`);
  return found;
}
