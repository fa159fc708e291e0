import { linkSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DomainError } from "../../domain/errors.ts";
import { writeOwnerOnly } from "./owner-only.ts";
import { identifyProcess, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** Says on disk who uses a data directory, so that a second start can name the holder, and a start after a crash knows what the dead one left running. */
export interface DirectoryHold {
  /** True when a holder died without releasing; its engine may still be ending. */
  readonly takenOver: boolean;
  /** That engine, if the holder came to record it. */
  readonly leftover: ProcessIdentity | undefined;
  /** Stores which engine process now works on the directory. */
  recordEngine(pid: number): void;
  release(): void;
}

interface HolderRecord {
  readonly reins: ProcessIdentity;
  readonly engine?: ProcessIdentity;
}

/**
 * Takes the data directory for this process, or throws a sentence that names the process which has it. A holder that
 * is dead is replaced. The engine's own file lock stays the last word: it also covers two starts in the same instant
 * and holders that cannot be seen from here (another container on the same volume).
 */
export function holdDirectory(dataDir: string): DirectoryHold {
  const path = join(dataDir, "holder.json");
  const reins = identifyProcess(process.pid) ?? { pid: process.pid, started: "" };
  const previous = readRecord(path);
  if (previous !== undefined && isAlive(previous.reins)) throw inUse(dataDir, previous.reins.pid);
  if (previous !== undefined) rmSync(path, { force: true });

  const write = (record: HolderRecord, publish: (from: string, to: string) => void) => {
    const temporary = `${path}.${process.pid}`;
    writeOwnerOnly(temporary, `${JSON.stringify(record)}\n`);
    try {
      publish(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  };
  try {
    write({ reins, engine: previous?.engine }, linkSync); // a link, since it fails when the file is there
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw inUse(dataDir, readRecord(path)?.reins.pid);
  }
  return {
    takenOver: previous !== undefined,
    leftover: previous?.engine,
    recordEngine: (pid) => write({ reins, engine: identifyProcess(pid) }, renameSync),
    release() {
      if (readRecord(path)?.reins.pid === process.pid) rmSync(path, { force: true });
    },
  };
}

/** What works on a data directory: nobody, a Reins whose engine does not run yet, or one whose engine runs. */
export function engineOf(dataDir: string): "none" | "starts" | "runs" {
  const record = readRecord(join(dataDir, "holder.json"));
  if (record === undefined || !isAlive(record.reins)) return "none";
  return record.engine !== undefined && isAlive(record.engine) ? "runs" : "starts";
}

export function inUse(dataDir: string, pid: number | undefined): DomainError {
  const holder = pid === undefined ? "another process" : `another Reins (process ${pid})`;
  return new DomainError(
    "DATABASE_UNAVAILABLE",
    `The data directory ${dataDir} is in use by ${holder}: stop it, or choose another data directory.`,
  );
}

function readRecord(path: string): HolderRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, "utf8")) as Partial<HolderRecord>;
    return typeof record.reins?.pid === "number" ? (record as HolderRecord) : undefined;
  } catch {
    return undefined;
  }
}
