import type { Logger } from "pino";
import type { ChildExit } from "./child-process.ts";

const firstDelayMs = 200;
const longestDelayMs = 30_000;
const forgottenAfterMs = 120_000;

export interface StartBackoff {
  readonly mayStart: boolean;
  /** A process ended before it was of any use; undefined when there was none to have. */
  failed(exit: ChildExit | undefined): void;
  stop(): void;
}

/** Spaces the starts of processes while they end before they are of any use; `retry` runs when the next may start. */
export function createStartBackoff(log: Logger, retry: () => void): StartBackoff {
  let failures = 0;
  let failedAt = 0;
  let timer: NodeJS.Timeout | undefined;

  return {
    get mayStart() {
      return timer === undefined;
    },
    failed(exit) {
      const now = performance.now();
      if (now - failedAt > forgottenAfterMs) failures = 0;
      failedAt = now;
      failures += 1;
      const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - 1));
      log.error(
        { ...exit, failures, delayMs },
        `A child process ended before it had anything to do (${describe(exit)}), ${failures} in a row; the next one starts in ${delayMs / 1000} s. Its output above may say why.`,
      );
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = undefined;
        retry();
      }, delayMs);
    },
    stop() {
      clearTimeout(timer);
    },
  };
}

function describe(exit: ChildExit | undefined): string {
  if (exit === undefined) return "the system has no process to give";
  return exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
}
