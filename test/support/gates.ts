import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identifyProcess } from "../../src/storage/embedded/process-identity.ts";

/** The test's end of the gates at which the steps of the test agents wait (see agents/gate.ts). */
export interface Gates {
  /** What a run's input must name. */
  readonly dir: string;
  /** Resolves to the id of the process that executes the step, when the step has started. */
  started(step: string): Promise<number>;
  /** Lets the step, or each, go on. */
  open(step?: string): void;
  close(step: string): void;
  hasStarted(step: string): boolean;
  isDone(step: string): boolean;
  /** Every start of a step so far, in order. */
  steps(): string[];
  /** The processes in which the step has started, in order. */
  pids(step: string): number[];
  /** Begin and end of each step, as "begin a" and "end a", in order; one that was killed has no end. */
  spans(): string[];
  /** How many signs of life there were. */
  beats(): number;
  remove(): void;
}

export function createGates(): Gates {
  const dir = mkdtempSync(join(tmpdir(), "reins-gates-"));
  const lines = (name: string) =>
    existsSync(join(dir, name)) ? readFileSync(join(dir, name), "utf8").split("\n").filter(Boolean) : [];
  return {
    dir,
    async started(step) {
      // The file is there a moment before its text is.
      const pid = () =>
        existsSync(join(dir, `${step}.started`)) ? readFileSync(join(dir, `${step}.started`), "utf8") : "";
      await until(() => pid() !== "");
      return Number(pid());
    },
    open: (step = "all") => writeFileSync(join(dir, `${step}.open`), ""),
    close: (step) => rmSync(join(dir, `${step}.open`), { force: true }),
    hasStarted: (step) => existsSync(join(dir, `${step}.started`)),
    isDone: (step) => existsSync(join(dir, `${step}.done`)),
    steps: () => lines("steps").map((line) => line.split(" ")[0]!),
    pids: (step) =>
      lines("steps")
        .map((line) => line.split(" ") as [string, string])
        .flatMap(([name, pid]) => (name === step ? [Number(pid)] : [])),
    spans: () => lines("spans"),
    beats: () => lines("beats").length,
    remove() {
      // Moved first: a step that is still at its gate fails at once, and leaves nothing in a directory that is being removed.
      const removed = `${dir}.removed`;
      if (existsSync(dir)) renameSync(dir, removed);
      rmSync(removed, { recursive: true, force: true });
    },
  };
}

/** Resolves when the condition holds; rejects after a limit that only a hang reaches. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = 100_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`still not so after ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process runs; one that has ended and waits to be reaped does not. */
export const isAlive = (pid: number): boolean => identifyProcess(pid) !== undefined;
