import type { Logger } from "pino";
import { type ChildExit, describeExit } from "./child-process.ts";

const firstDelayMs = 200;

export interface StartBackoffOptions {
  readonly log: Logger;
  readonly leaseMs: number;
  readonly retry: () => void;
}

export interface StartBackoff {
  readonly mayStart: boolean;
  /** A process ended before it was of any use; undefined when there was none to have. */
  failed(exit: ChildExit | undefined): void;
  /** A process was killed since its lease was over: the machine or the database has too much to do. */
  lapsed(): void;
  stop(): void;
}

/**
 * Spaces the starts of processes while they end before they are of any use, or with their leases; `retry` runs when the next
 * may start.
 */
export function createStartBackoff({ log, leaseMs, retry }: StartBackoffOptions): StartBackoff {
  const early = createPause(retry, { longestMs: 30_000, forgottenAfterMs: 120_000 });
  const lapses = createPause(retry, { longestMs: leaseMs / 2, forgottenAfterMs: 6 * leaseMs });
  let stopped = false;

  return {
    get mayStart() {
      return !early.lasts && !lapses.lasts;
    },
    failed(exit) {
      const { failures, delayMs } = early.begin();
      log.error(
        { ...exit, failures, delayMs },
        `A child process ended before it had anything to do (${describe(exit)}), ${failures} in a row; the next one starts in ${delayMs / 1000} s. Its output above may say why.`,
      );
    },
    lapsed() {
      // Processes that end together have one cause, which counts once.
      if (stopped || lapses.lasts) return;
      const { failures, delayMs } = lapses.begin();
      log.warn(
        { failures, delayMs },
        `Leases could not be renewed in time, and what executed their runs was killed; the next process starts in ${delayMs / 1000} s.`,
      );
    },
    stop() {
      stopped = true;
      early.end();
      lapses.end();
    },
  };
}

/** A pause that is twice as long each time, until nothing has happened for a while. */
function createPause(
  over: () => void,
  { longestMs, forgottenAfterMs }: { readonly longestMs: number; readonly forgottenAfterMs: number },
) {
  let failures = 0;
  let failedAt = 0;
  let timer: NodeJS.Timeout | undefined;

  return {
    get lasts() {
      return timer !== undefined;
    },
    begin() {
      const now = performance.now();
      if (now - failedAt > forgottenAfterMs) failures = 0;
      failedAt = now;
      failures += 1;
      const delayMs = Math.min(longestMs, firstDelayMs * 2 ** (failures - 1));
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = undefined;
        over();
      }, delayMs);
      return { failures, delayMs };
    },
    end() {
      clearTimeout(timer);
    },
  };
}

const describe = (exit: ChildExit | undefined): string =>
  exit ? describeExit(exit) : "the system has no process to give";
