import { keyOfRun, type RunName } from "../domain/run/run.ts";
import type { CancelAction } from "../domain/transitions.ts";
import type { Attempt } from "./attempt.ts";

/** What executes in this server. The executor alone changes it. */
export interface Executing {
  /** The attempts, by their run (keyOfRun), until their outcome is written. */
  readonly attempts: Map<string, Attempt>;
  /** The tokens of claims that are under way, or whose attempt has not begun, and whose they are. */
  readonly claiming: Map<string, string>;
  /** Cancels of runs that do not execute here yet, by the run, while claims are under way. */
  readonly early: Map<string, { readonly action: CancelAction; readonly reason: string }>;
  /** Whether what holds this lease is claimed, executed or settled here. */
  knows(lease: { readonly run: RunName; readonly token: string }): boolean;
}

export function createExecuting(): Executing {
  const attempts = new Map<string, Attempt>();
  const claiming = new Map<string, string>();
  return {
    attempts,
    claiming,
    early: new Map(),
    knows: ({ run, token }) => attempts.get(keyOfRun(run))?.token === token || claiming.has(token),
  };
}
