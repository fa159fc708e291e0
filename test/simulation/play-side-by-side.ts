import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";

const main = new URL("./main.ts", import.meta.url).pathname;
/** Many short processes load the same sources. */
const NODE_COMPILE_CACHE = new URL("../../node_modules/.cache/simulation", import.meta.url).pathname;

export interface Played {
  readonly isWhole: boolean;
  readonly output: string;
}

/** A process of its own: the clock of a simulation is that of its process. */
export function playApart(args: readonly string[]): Promise<Played> {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, NODE_COMPILE_CACHE } });
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (output += text));
  return new Promise((resolve) => child.once("close", (code) => resolve({ isWhole: code === 0, output })));
}

/** Plays so many schedules on all cores. Answers what each process has told. */
export async function playSideBySide(from: number, count: number, processes = availableParallelism()): Promise<Played> {
  const each = Math.ceil(count / processes);
  const parts = Array.from({ length: processes }, (_, n) => {
    const seeds = Math.max(0, Math.min(each, count - n * each));
    return playApart(["--alone", "--from", String(from + n * each), "--seeds", String(seeds)]);
  });
  const played = await Promise.all(parts);
  return { isWhole: played.every(({ isWhole }) => isWhole), output: played.map(({ output }) => output).join("") };
}
