import type { Logger } from "pino";

const maxLineBytes = 8 * 1024;
const maxBytesPerSecond = 256 * 1024;
/** What a line costs beside its bytes, so that floods of empty lines are held back as well. */
const lineCost = 64;
const newline = 0x0a;

export interface ChildLogOptions {
  readonly log: Logger;
  readonly stream: "stdout" | "stderr";
  /** The runs in the process: what an unmarked line may belong to. */
  readonly runIds: () => readonly string[];
  /** A monotonic clock. */
  readonly nowMs?: () => number;
}

export interface ChildLog {
  write(chunk: Buffer): void;
  /** Logs what stands behind the last newline. */
  end(): void;
}

/**
 * Turns a child's stdout or stderr into log lines with run ids. A line that was written inside a run is marked by the child
 * with "\x1e" + run id + "\x1f". The output is always taken in, so that a flood never blocks the child; lines over 8 kB are
 * cut, and what exceeds 256 kB a second is counted and left out.
 */
export function createChildLog({ log, stream, runIds, nowMs = () => performance.now() }: ChildLogOptions): ChildLog {
  let line: Buffer[] = [];
  let lineBytes = 0;
  let budget = maxBytesPerSecond;
  let refilledAt = nowMs();
  let leftOut = 0;
  let skippingLine = false;

  function refill(): void {
    const now = nowMs();
    budget = Math.min(maxBytesPerSecond, budget + ((now - refilledAt) / 1000) * maxBytesPerSecond);
    refilledAt = now;
  }

  function add(piece: Buffer): void {
    const room = maxLineBytes - lineBytes;
    // A copy: a piece would keep its whole chunk in memory.
    if (room > 0 && piece.length > 0) line.push(Buffer.from(piece.subarray(0, room)));
    lineBytes += piece.length;
  }

  function finishLine(): void {
    const text = Buffer.concat(line).toString("utf8").replace(/\r$/, "");
    const cut = lineBytes > maxLineBytes ? ` … (cut, ${lineBytes} bytes)` : "";
    const mark = text.startsWith("\x1e") ? text.indexOf("\x1f") : -1;
    const whose = mark === -1 ? { runIds: runIds() } : { runId: text.slice(1, mark) };
    const message = text.slice(mark + 1) + cut;
    if (message !== "") log[stream === "stdout" ? "info" : "warn"]({ ...whose, stream }, message);
    budget -= Math.min(lineBytes, maxLineBytes) + lineCost;
    line = [];
    lineBytes = 0;
  }

  function reportLeftOut(): void {
    if (leftOut === 0) return;
    log.warn(
      { runIds: runIds(), stream, leftOutBytes: leftOut },
      "The process wrote too much output; some of it was left out",
    );
    leftOut = 0;
  }

  return {
    write(chunk) {
      refill();
      let from = 0;
      while (from < chunk.length) {
        if (budget <= 0) {
          // Without looking at the lines, so that a flood costs next to nothing; goes on at a line's beginning.
          leftOut += lineBytes + chunk.length - from;
          line = [];
          lineBytes = 0;
          skippingLine = chunk.at(-1) !== newline;
          return;
        }
        const at = chunk.indexOf(newline, from);
        const to = at === -1 ? chunk.length : at;
        if (skippingLine) {
          leftOut += to - from;
          skippingLine = at === -1;
        } else {
          reportLeftOut();
          add(chunk.subarray(from, to));
          if (at !== -1) finishLine();
        }
        from = to + 1;
      }
    },
    end() {
      if (lineBytes > 0) finishLine();
      reportLeftOut();
    },
  };
}
