import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { playApart } from "../play-side-by-side.ts";
import { bugs } from "./bugs.ts";

/** The first schedule that has found each bug when all were looked for, by what the bug is; those that are not here were not found. */
const recordFile = new URL("./found.json", import.meta.url);
const readRecord = (): Readonly<Record<string, number>> => JSON.parse(readFileSync(recordFile, "utf8"));

export interface Found {
  readonly what: string;
  /** The schedule that has found it, and by which law; absent when none has. */
  readonly seed?: number;
  readonly by?: string;
  readonly output: string;
}

export interface FindOptions {
  /** So many schedules are tried, from the first one on. */
  readonly seeds: number;
  /** Which bugs; all when absent. */
  readonly wanted?: readonly number[];
  readonly processes?: number;
  /** The schedule that has found a bug the last time is tried before all others. */
  readonly recordedFirst?: boolean;
}

/** Plays schedules with one bug, in a process of its own, until a law is broken. */
async function play(index: number, from: number, seeds: number): Promise<Found> {
  const { what } = bugs[index]!;
  const { output } = await playApart(["--bug", String(index), "--from", String(from), "--seeds", String(seeds)]);
  const [, seed, by] = /^seed (\d+): ([^\n]*)/m.exec(output) ?? [];
  return seed === undefined ? { what, output } : { what, seed: Number(seed), by, output };
}

/** As many at a time as there are cores; tells which schedule has found each. */
export async function findBugs(options: FindOptions): Promise<readonly Found[]> {
  const { seeds, wanted = bugs.keys(), processes = availableParallelism(), recordedFirst = false } = options;
  const record = recordedFirst ? readRecord() : {};
  const found: Found[] = [];
  const waiting = [...wanted];

  async function find(index: number): Promise<Found> {
    const recorded = record[bugs[index]!.what];
    const again = recorded === undefined ? undefined : await play(index, recorded, 1);
    return again?.seed === undefined ? play(index, 1, seeds) : again;
  }

  async function work(): Promise<void> {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const one = await find(index);
      found.push(one);
      const told = one.seed === undefined ? "NOT FOUND" : `seed ${String(one.seed).padStart(4)}`;
      console.log(`${told}  ${String(index).padStart(3)} ${one.what}${one.by ? `  (${one.by.slice(0, 110)})` : ""}`);
      if (one.seed === undefined) console.log(one.output.slice(-300));
    }
  }

  await Promise.all(Array.from({ length: processes }, work));
  const missed = found.filter(({ seed }) => seed === undefined).length;
  console.log(missed === 0 ? `${found.length} bugs, all found` : `${missed} of ${found.length} bugs not found`);
  return found;
}

/** Keeps which schedule has found each of these bugs. */
export function recordFound(found: readonly Found[]): void {
  const record = { ...readRecord(), ...Object.fromEntries(found.map(({ what, seed }) => [what, seed])) };
  const known = Object.fromEntries(
    bugs.flatMap(({ what }) => (record[what] === undefined ? [] : [[what, record[what]]])),
  );
  writeFileSync(recordFile, `${JSON.stringify(known, null, 2)}\n`);
}
