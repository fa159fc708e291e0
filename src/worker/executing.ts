import type { Run } from "../domain/run.ts";
import type { Attempt } from "./attempt.ts";

/** What executes in this server. The executor alone changes it. */
export interface Executing {
  /** The attempts, by their run, until their outcome is written. */
  readonly attempts: Map<string, Attempt>;
  /** Runs with a place whose claim is under way, with the cancel that came meanwhile. */
  readonly expected: Map<string, Run | undefined>;
  /** Whether the run is claimed, executed or settled here. */
  knows(runId: string): boolean;
}

export function createExecuting(): Executing {
  const attempts = new Map<string, Attempt>();
  const expected = new Map<string, Run | undefined>();
  return { attempts, expected, knows: (runId) => attempts.has(runId) || expected.has(runId) };
}
