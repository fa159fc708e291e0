import type { AttemptOver } from "./attempt-host.ts";
import { uncaughtExitCode } from "./child/uncaught-exit-code.ts";
import type { ChildAttempt } from "./child-attempt.ts";
import { type ChildExit, describeExit } from "./child-process.ts";
import type { ErrorReport } from "./protocol.ts";

/** An error that the process reported and that was no attempt's outcome. */
export interface Fault {
  /** The attempt that the error was traced to. */
  readonly attemptId: string | undefined;
  readonly error: ErrorReport;
}

/**
 * What became of an attempt whose process died by itself, or was killed because it was blocked or could not load its
 * graphs. `live` are the attempts that had not ended by then.
 */
export function crashOutcome(
  attempt: ChildAttempt,
  live: readonly ChildAttempt[],
  exit: ChildExit,
  killCause: string | undefined,
  lastFault: Fault | undefined,
): AttemptOver {
  const fatal = exit.code === uncaughtExitCode ? lastFault : undefined;
  if (fatal?.attemptId !== undefined) {
    // The culprit is known, so the others are innocent.
    if (fatal.attemptId !== attempt.spec.attemptId) return { how: "displaced" };
    return { how: "crashed", blamed: true, error: fatal.error };
  }
  const blamed = live.length === 1 && attempt.started;
  return { how: "crashed", blamed, error: fatal?.error ?? crashError(exit, killCause) };
}

function crashError(exit: ChildExit, killCause: string | undefined): ErrorReport {
  if (killCause === "blocked") {
    return { name: "EventLoopBlocked", message: "The process was killed: its event loop was blocked for too long" };
  }
  if (killCause === "load") {
    return { name: "LoadTimeout", message: "The process was killed: its graphs took too long to load" };
  }
  const message = `The process that executed the run ended by itself (${describeExit(exit)})`;
  return { name: "ProcessCrashed", message };
}
