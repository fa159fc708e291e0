import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from "node:fs";

const maxBytes = 8 * 1024 * 1024;

/** What stands in the log from a position on; nothing when it cannot be read. */
export function readLogFrom(file: string, position: number): string {
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    const bytes = Buffer.alloc(Math.max(0, fstatSync(handle).size - position));
    return bytes.toString("utf8", 0, readSync(handle, bytes, 0, bytes.length, position));
  } catch {
    return "";
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** Where the log ends. */
export function logEnd(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Keeps the log of an engine that runs for months small: the current file and the one before it. The engine writes to the file itself and
 * always at its end, so that the file is copied and emptied; a line that comes in between is lost. A disk that is full stops nothing here.
 */
export function shortenLog(file: string): void {
  if (logEnd(file) <= maxBytes) return;
  try {
    copyFileSync(file, `${file}.1`);
  } catch {}
  try {
    truncateSync(file);
  } catch {}
}
