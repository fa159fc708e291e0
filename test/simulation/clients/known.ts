import type { RunName } from "../../../src/domain/run/run.ts";

/** Runs and threads that clients have heard of. */
export class Known {
  readonly runs: RunName[] = [];
  readonly threads: string[];
  readonly #random: () => number;

  constructor(random: () => number, threads: readonly string[]) {
    this.#random = random;
    this.threads = [...threads];
  }

  thread(): string {
    return this.threads[Math.floor(this.#random() * this.threads.length)]!;
  }

  /** One of the last few, as most are of interest soon or never. */
  run(): RunName | undefined {
    const last = this.runs.slice(-6);
    return last[Math.floor(this.#random() * last.length)];
  }

  add(runId: string, threadId: string): void {
    if (!this.runs.some((run) => run.runId === runId)) this.runs.push({ owner: "", threadId, runId });
  }
}
