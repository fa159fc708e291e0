import { openSync, readFileSync, writeSync } from "node:fs";

/** One line of what really executes, written by the code of the node itself. */
export interface LedgerLine {
  /** By {@link machineMs}. */
  readonly at: number;
  readonly kind: "begin" | "beat" | "end";
  readonly thread: string;
  readonly run: string;
  /** What the client calls the run, before it knows its id. */
  readonly work: string;
  /** The place in the run's plan, and the node that executes it. */
  readonly step: number;
  readonly node: string;
  /** One call of a node function. */
  readonly call: string;
  readonly pid: number;
  /** Of an end: the node function did not throw. */
  readonly done?: boolean;
}

/** Milliseconds of the machine's monotonic clock, which is the same in every process. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The other processes' end. Each line is appended by one write, so that none is torn and a killed process loses none. */
export function openLedger(path: string): (line: Omit<LedgerLine, "at" | "pid">) => void {
  const file = openSync(path, "a");
  return (line) => {
    writeSync(file, `${JSON.stringify({ at: machineMs(), pid: process.pid, ...line })}\n`);
  };
}

/** All lines, in the order of their times. */
export function readLedger(path: string): LedgerLine[] {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as LedgerLine).sort((a, b) => a.at - b.at);
}
