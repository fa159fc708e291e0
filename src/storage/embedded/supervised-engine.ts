import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type EngineCommand, EngineFailure, type EngineProcess, startEngineProcess } from "./engine-process.ts";

export interface SupervisedEngineOptions extends EngineCommand {
  readonly log: Logger;
  /** Called for the engine's process at each start. */
  onEngineProcess(pid: number): void;
}

export interface SupervisedEngine {
  /** Stays the same over restarts of the engine. */
  readonly port: number;
  /** Called once, if the engine is given up for good. */
  onExit(listener: (error: Error) => void): void;
  /** Resolves when the engine does not run any more. */
  stop(): Promise<void>;
}

/** So many ends within the window, and the engine is given up. */
const endLimit = 5;
const endWindowMs = 30_000;
const longestPauseMs = 2_000;

/**
 * Starts an engine and resolves when it serves; throws an EngineFailure when it does not. An engine that dies later is started again on
 * the same port with the same data.
 */
export async function superviseEngine(options: SupervisedEngineOptions): Promise<SupervisedEngine> {
  const { log } = options;
  const stopping = new AbortController();
  const givenUp = Promise.withResolvers<Error>();
  let ends: number[] = [];
  let engine = start(options.port);
  const port = await engine.serves;
  const kept = keep();

  function start(onPort: number): EngineProcess {
    const started = startEngineProcess({ ...options, port: onPort });
    try {
      if (started.pid !== undefined) options.onEngineProcess(started.pid);
    } catch (error) {
      log.warn({ err: error }, "The process of the embedded database could not be recorded");
    }
    return started;
  }

  async function keep(): Promise<void> {
    let reason = await engine.ended;
    while (!stopping.signal.aborted) {
      const now = performance.now();
      ends = [...ends.filter((at) => now - at < endWindowMs), now];
      if (ends.length >= endLimit) return giveUp(reason);
      log.error(`The embedded database ${reason}; it is started again.`);
      await pause();
      if (!stopping.signal.aborted) reason = await endOfNext();
    }
  }

  /** Starts the engine again and resolves when that one has ended, with how. */
  async function endOfNext(): Promise<string> {
    try {
      engine = start(port);
    } catch (error) {
      return `could not be started: ${(error as Error).message}`;
    }
    engine.serves.then(
      () => log.warn("The embedded database is back."),
      () => {},
    );
    return engine.ended;
  }

  /** The first restart comes at once. */
  async function pause(): Promise<void> {
    const pauseMs = ends.length === 1 ? 0 : Math.min(100 * 2 ** ends.length, longestPauseMs);
    await sleep(pauseMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
  }

  function giveUp(reason: string): void {
    const failure = new EngineFailure(
      `ended ${ends.length} times within ${endWindowMs / 1000} s, the last time it ${reason}`,
    );
    log.error(`The embedded database ${failure.message}; it is given up.`);
    givenUp.resolve(failure);
  }

  return {
    port,
    onExit: (listener) => void givenUp.promise.then(listener),
    async stop() {
      stopping.abort();
      await engine.stop();
      await kept;
    },
  };
}
