import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { FromGuardian, StartEngine } from "./guardian-protocol.ts";
import { identifyProcess, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** Everything that the guardian needs to know, less what is the same for every engine. */
export type GuardedEngineOptions = Pick<
  StartEngine,
  "command" | "args" | "environment" | "port" | "readyPattern" | "logFile"
> & { readonly log: Logger; onEngineProcess(pid: number): void };

export interface GuardedEngine {
  /** Stays the same over restarts of the engine. */
  readonly port: number;
  /** Called once, if the engine is given up for good. */
  onExit(listener: (error: Error) => void): void;
  /** Resolves when neither engine nor guardian runs any more. */
  stop(): Promise<void>;
}

/** The engine ended, or never served. */
export class EngineFailure extends Error {
  override readonly name = "EngineFailure";
}

const limits = {
  startLimitMs: 120_000,
  stopLimitMs: 10_000,
  orphanStopLimitMs: 3_000,
  failureLimit: 5,
  failureWindowMs: 30_000,
};
/** What the guardian itself may take on top of the engine's limit. */
const guardianMarginMs = 2_000;

/** The guardian beside this file; it has this file's extension, as a source and as a build. */
const guardianPath = fileURLToPath(new URL(`guardian${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

/**
 * Starts an engine under a guardian and resolves when it serves; throws an EngineFailure when it does not. The engine
 * comes back by itself when it dies (the guardian restarts it) and also when the guardian is killed (a new one does).
 */
export async function startGuardedEngine(options: GuardedEngineOptions): Promise<GuardedEngine> {
  const { log } = options;
  let engineProcess: ProcessIdentity | undefined;
  let port = options.port;
  let stopped: Promise<void> | undefined;
  let failure: Error | undefined;
  let exitListener: ((error: Error) => void) | undefined;
  let guardianEnds: number[] = [];
  let guardian = launch();
  await guardian.ready;

  function launch(): { child: ChildProcess; ready: Promise<void>; ended: Promise<void> } {
    const child = forkGuardian(options, port);
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const ready = new Promise<void>((resolve, reject) => {
      let saidWhy = false;
      child.on("message", (message: FromGuardian) => {
        if (message.type === "ready") {
          if (engineProcess !== undefined) log.warn("The embedded database is back.");
          port = message.port;
          engineProcess = identifyProcess(message.enginePid);
          options.onEngineProcess(message.enginePid);
          // Once it serves, it must not keep a process alive that has nothing else to do.
          child.unref();
          child.channel?.unref();
          resolve();
        } else if (message.type === "lost") {
          log.error(`The embedded database ${message.reason}; it is started again.`);
        } else {
          saidWhy = true;
          if (message.type === "failed") fail(message.reason, reject);
        }
      });
      child.once("error", (error) => fail(`has no guardian: ${error.message}`, reject));
      child.once("exit", () => {
        if (!saidWhy && stopped === undefined) replaceGuardian(reject);
      });
    });
    ready.catch(() => {}); // a replacement's failure is told through onExit
    return { child, ready, ended };
  }

  function fail(reason: string, rejectStart: (error: Error) => void): void {
    failure = new EngineFailure(reason);
    if (engineProcess !== undefined) log.error(`The embedded database ${reason}; it is given up.`);
    rejectStart(failure);
    exitListener?.(failure);
  }

  /** The guardian was killed: its engine is ended too, and a new pair serves on the same port. */
  function replaceGuardian(rejectStart: (error: Error) => void): void {
    const now = performance.now();
    guardianEnds = [...guardianEnds.filter((at) => now - at < limits.failureWindowMs), now];
    if (engineProcess === undefined || guardianEnds.length >= limits.failureLimit) {
      fail("lost its guardian process", rejectStart);
      return;
    }
    log.error("The guardian of the embedded database was killed; both are started again.");
    void endProcess(engineProcess, 0).then(() => {
      if (stopped === undefined) guardian = launch();
    });
  }

  async function stopBoth(): Promise<void> {
    const { child, ended } = guardian;
    if (child.connected) child.send({ type: "stop" }, () => {});
    const limit = new AbortController();
    const tooLate = sleep(limits.stopLimitMs + guardianMarginMs, undefined, { signal: limit.signal }).catch(() => {});
    if (child.exitCode === null && child.signalCode === null) await Promise.race([ended, tooLate]);
    limit.abort();
    child.kill("SIGKILL");
    if (engineProcess !== undefined) await endProcess(engineProcess, 0);
  }

  return {
    get port() {
      return port;
    },
    onExit(listener) {
      exitListener = listener;
      if (failure !== undefined) listener(failure);
    },
    stop() {
      stopped ??= stopBoth();
      return stopped;
    },
  };
}

/** Waits until the process is gone; kills it when it is still there after the patience. */
export async function endProcess(identity: ProcessIdentity, patienceMs: number): Promise<void> {
  const end = performance.now() + patienceMs;
  while (isAlive(identity)) {
    if (performance.now() >= end) {
      try {
        process.kill(identity.pid, "SIGKILL");
      } catch {
        return; // gone in between, or not ours: then the engine's file lock decides
      }
    }
    await sleep(25);
  }
}

function forkGuardian(options: GuardedEngineOptions, port: number): ChildProcess {
  const { command, args, environment, readyPattern, logFile } = options;
  const logHandle = openSync(logFile, "a");
  try {
    const child = fork(guardianPath, [], {
      detached: true,
      env: environment,
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", logHandle, "ipc"],
    });
    const start: StartEngine = { type: "start", command, args, environment, port, readyPattern, logFile, ...limits };
    child.send(start, () => {});
    return child;
  } finally {
    closeSync(logHandle);
  }
}
