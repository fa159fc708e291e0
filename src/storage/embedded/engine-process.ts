import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { logEnd, readLogFrom, shortenLog } from "./engine-log.ts";
import { portPlaceholder } from "./engines.ts";

export interface EngineCommand {
  readonly command: string;
  /** One of them is the placeholder of the port. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** 0 lets the engine choose one. */
  readonly port: number;
  /** Source of a regular expression for the line that says that the engine serves; its group 1, if any, is the port. */
  readonly readyPattern: string;
  readonly logFile: string;
}

/** A process of the engine, from its start to its end. */
export interface EngineProcess {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Its port, once it serves; rejects with an {@link EngineFailure} when it ends before. */
  readonly serves: Promise<number>;
  /** How it ended, for a sentence about it. */
  readonly ended: Promise<string>;
  /** Asks it to end, and kills it when it is too slow. */
  stop(): Promise<void>;
}

/** The engine ended, or never served. */
export class EngineFailure extends Error {
  override readonly name = "EngineFailure";
}

const startLimitMs = 120_000;
const stopLimitMs = 10_000;
const readyCheckMs = 10;
const logCheckMs = 60_000;

const lifelineFd = 3;
/** Said on the lifeline when the engine has ended: its watcher has nothing left to do. */
const engineHasEnded = "ended\n";

/**
 * The shell leaves a watcher behind and becomes the engine. The watcher reads the lifeline, a pipe whose other end only the server has:
 * when that closes without a word, the server is gone, by SIGKILL too, and the engine is ended. It has 3 seconds for it, since
 * the next start is waiting. What the engine writes is nobody's but its user's.
 */
const startWithWatcher = `
umask 077
(
  trap '' INT TERM HUP
  PATH=$PATH:/usr/bin:/bin
  read -r word <&${lifelineFd} && exit
  kill -TERM $$ || exit
  for second in 1 2 3; do
    sleep 1
    kill -0 $$ || exit
  done
  kill -KILL $$
) >/dev/null 2>&1 &
exec "$@" ${lifelineFd}<&-
`;

/**
 * Starts an engine that does not outlive this process. It leads a session of its own: Ctrl-C in a terminal reaches Reins alone, which first
 * drains and then stops the engine. It writes to the log itself, so that it loses no reader when the server is killed.
 */
export function startEngineProcess(engine: EngineCommand): EngineProcess {
  const { logFile, port } = engine;
  shortenLog(logFile);
  const logStart = logEnd(logFile);
  const child = spawnWithLifeline(engine);
  const lifeline = child.stdio[lifelineFd] as Socket;
  let isOver = false;
  let tooLate = false;

  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => {
      if (tooLate) resolve(`did not serve within ${startLimitMs / 1000} s`);
      resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
  }).finally(() => {
    isOver = true;
    lifeline.end(engineHasEnded);
  });
  // Whoever kills the watcher takes the engine's lifeline: it goes too, and comes back with a new one.
  lifeline.on("error", () => {}).once("close", () => void stop());
  lifeline.resume();
  // Once it serves, it must not keep a process alive that has nothing else to do.
  lifeline.unref();
  child.unref();

  const serves = untilItServes();
  serves.catch(() => {}); // told through `ended` as well

  async function untilItServes(): Promise<number> {
    const pattern = new RegExp(engine.readyPattern);
    const limit = performance.now() + startLimitMs;
    while (!isOver) {
      const ready = pattern.exec(readLogFrom(logFile, logStart));
      if (ready !== null) {
        shortenNowAndThen();
        return ready[1] === undefined ? port : Number(ready[1]);
      }
      if (performance.now() >= limit && !tooLate) {
        tooLate = true;
        child.kill("SIGKILL");
      }
      await sleep(readyCheckMs);
    }
    throw new EngineFailure(await ended);
  }

  function shortenNowAndThen(): void {
    const timer = setInterval(() => shortenLog(logFile), logCheckMs).unref();
    void ended.then(() => clearInterval(timer));
  }

  async function stop(): Promise<void> {
    if (isOver) return;
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
    await ended;
    clearTimeout(kill);
  }

  return { pid: child.pid, serves, ended, stop };
}

function spawnWithLifeline({ command, args, environment, port, logFile }: EngineCommand) {
  const log = openSync(logFile, "a");
  try {
    const filled = args.map((arg) => (arg === portPlaceholder ? String(port) : arg));
    return spawn("/bin/sh", ["-c", startWithWatcher, "embedded-database", command, ...filled], {
      env: environment,
      detached: true,
      stdio: ["ignore", log, log, "pipe"],
    });
  } finally {
    closeSync(log);
  }
}
