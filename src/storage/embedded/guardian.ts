/**
 * The guardian: a small process between Reins and the embedded database engine.
 *
 * It owns the engine, so that the engine never outlives Reins (the closed IPC channel tells it that Reins is gone,
 * SIGKILL included) and so that an engine that dies comes back on the same port with the same data. It leads a session
 * of its own: Ctrl-C in a terminal reaches Reins alone, which first drains and then asks for the stop. It therefore
 * ignores signals that ask it to end; the channel decides.
 *
 * Light on purpose: two imports, no dependency, no share in Reins' own output.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, renameSync, statSync } from "node:fs";
import type { FromGuardian, StartEngine, ToGuardian } from "./guardian-protocol.ts";

// What the engine writes is nobody's but its user's.
process.umask(0o077);

const maxLogBytes = 8 * 1024 * 1024;
const longestRestartPauseMs = 2_000;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

let spec: StartEngine | undefined;
let engine: ChildProcess | undefined;
let port = 0;
let everReady = false;
let failures: number[] = [];
/** Once set, the engine's end is the guardian's end. */
let stopping: "asked" | "orphaned" | undefined;
let killed = false;
let restartTimer: NodeJS.Timeout | undefined;
let logBytes = 0;

process.on("message", (message: ToGuardian) => {
  if (message.type === "stop") {
    stop("asked");
  } else if (spec === undefined) {
    spec = message;
    port = message.port;
    startEngine(message);
  }
});
process.on("disconnect", () => stop("orphaned"));

function startEngine(start: StartEngine): void {
  restartTimer = undefined;
  rotateLog(start.logFile);
  const args = start.args.map((arg) => (arg === "{port}" ? String(port) : arg));
  const child = spawn(start.command, args, { env: start.environment, stdio: ["ignore", "pipe", "pipe"] });
  engine = child;

  let ready = false;
  let unread = "";
  let timedOut = false;
  const startTimer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, start.startLimitMs);

  const onOutput = (chunk: Buffer) => {
    writeLog(start.logFile, chunk);
    if (ready) return;
    unread = (unread + chunk.toString()).slice(-65_536);
    const match = new RegExp(start.readyPattern).exec(unread);
    if (match === null) return;
    ready = true;
    everReady = true;
    unread = "";
    clearTimeout(startTimer);
    if (match[1] !== undefined) port = Number(match[1]);
    tell({ type: "ready", port, enginePid: child.pid ?? 0 });
  };
  child.stdout?.on("data", onOutput);
  child.stderr?.on("data", onOutput);

  let ended = false;
  const onEnd = (reason: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(startTimer);
    engine = undefined;
    engineEnded(start, timedOut ? `did not serve within ${start.startLimitMs / 1000} s` : reason);
  };
  child.on("error", (error) => onEnd(`could not be started: ${error.message}`));
  // 'close' comes after the last output, so the log is complete when the end is told; a grandchild that keeps the
  // pipes open must not hide it.
  child.on("exit", (code, signal) => {
    const reason = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    child.on("close", () => onEnd(reason));
    setTimeout(() => onEnd(reason), 500);
  });
}

function engineEnded(start: StartEngine, reason: string): void {
  const now = performance.now();
  failures = [...failures.filter((at) => now - at < start.failureWindowMs), now];
  if (stopping !== undefined) {
    end({ type: "stopped", killed });
  } else if (!everReady) {
    end({ type: "failed", reason });
  } else if (failures.length >= start.failureLimit) {
    const times = `${failures.length} times within ${start.failureWindowMs / 1000} s`;
    end({ type: "failed", reason: `ended ${times}, the last time it ${reason}` });
  } else {
    tell({ type: "lost", reason });
    // The first restart comes at once.
    const pauseMs = failures.length === 1 ? 0 : Math.min(100 * 2 ** failures.length, longestRestartPauseMs);
    restartTimer = setTimeout(() => startEngine(start), pauseMs);
  }
}

function stop(why: "asked" | "orphaned"): void {
  if (stopping !== undefined) return;
  stopping = why;
  clearTimeout(restartTimer);
  const child = engine;
  if (child === undefined || spec === undefined) {
    end({ type: "stopped", killed });
    return;
  }
  setTimeout(
    () => {
      killed = true;
      child.kill("SIGKILL");
    },
    why === "asked" ? spec.stopLimitMs : spec.orphanStopLimitMs,
  );
  child.kill("SIGTERM");
}

/** Tells Reins, if it is still there, and ends. */
function end(last: FromGuardian): void {
  if (!process.connected) process.exit(0);
  process.send?.(last, undefined, undefined, () => process.exit(0));
}

function tell(message: FromGuardian): void {
  if (process.connected) process.send?.(message);
}

/** A log that cannot be written (a full disk) must not stop the database. */
function writeLog(file: string, chunk: Buffer): void {
  try {
    appendFileSync(file, chunk);
    logBytes += chunk.length;
    if (logBytes > maxLogBytes) rotateLog(file);
  } catch {}
}

/** Keeps the log of an engine that runs for months small: the current file and the one before it. */
function rotateLog(file: string): void {
  try {
    logBytes = statSync(file).size;
    if (logBytes <= maxLogBytes) return;
    renameSync(file, `${file}.1`);
    logBytes = 0;
  } catch {
    logBytes = 0;
  }
}
