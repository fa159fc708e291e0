import type { RunStore } from "../../src/domain/ports.ts";
import type { Run } from "../../src/domain/run.ts";
import {
  type CancelAction,
  type Phase,
  type RunStatus,
  type TransitionName,
  transitions,
} from "../../src/domain/transitions.ts";

/** What the transition table speaks of. */
export interface RunState {
  readonly phase: Phase;
  readonly status: RunStatus;
  /** The lease token. */
  readonly token: string | undefined;
  readonly attempt: number;
  readonly cancel: { readonly revision: number; readonly action: CancelAction } | undefined;
}

export const stateOf = (run: Run): RunState => ({
  phase: run.phase,
  status: run.status,
  token: run.lease?.token,
  attempt: run.attempt,
  cancel: run.cancellation && { revision: run.cancellation.revision, action: run.cancellation.action },
});

/** One try to change a run by an actor who read it some time ago, and so may be wrong about all of it. */
export type Step =
  | { readonly kind: "claim"; readonly token: string; readonly read: number }
  | { readonly kind: "finish"; readonly token: string; readonly status: "success" | "error" | "timeout" }
  | { readonly kind: "handBack"; readonly token: string; readonly lost: boolean }
  | { readonly kind: "cancel"; readonly action: CancelAction; readonly read: number }
  | { readonly kind: "settleCancelled"; readonly token: string; readonly read: number }
  | { readonly kind: "takeOver"; readonly token: string; readonly read: number };

/** The transition that a step tries, given what its actor has read; undefined: the actor does not try. */
export function intended(step: Step, read: RunState): TransitionName | "takeOver" | undefined {
  switch (step.kind) {
    case "claim":
    case "finish":
    case "handBack":
      return step.kind;
    case "cancel":
      if (read.phase === "waiting") return step.action === "interrupt" ? "cancelWaiting" : "rollBackWaiting";
      return "requestCancel";
    case "settleCancelled":
      if (read.cancel === undefined) return undefined;
      return read.cancel.action === "interrupt" ? "settleInterrupt" : "settleRollback";
    case "takeOver":
      return read.token === undefined ? undefined : "takeOver";
  }
}

/** What the table says that the step makes of the run as it is; undefined when nothing must change. */
export function expected(step: Step, read: RunState, now: RunState): RunState | undefined {
  const name = intended(step, read);
  if (name === undefined) return undefined;
  if (name === "takeOver") {
    return now.token !== undefined && now.token === read.token ? { ...now, token: tokenOf(step) } : undefined;
  }
  const { from, to, status, cancel, lease } = transitions[name];
  if (!(from as readonly Phase[]).includes(now.phase)) return undefined;
  if (lease === "held" && now.token !== tokenOf(step)) return undefined;
  if (cancel === "absent" && now.cancel !== undefined) return undefined;
  // The actor acts on the request, and on the attempt, that it has read.
  if (cancel !== "absent" && now.cancel?.revision !== read.cancel?.revision) return undefined;
  if (step.kind === "cancel" && read.phase === "waiting" && now.attempt !== read.attempt) return undefined;
  return {
    phase: to,
    status: step.kind === "finish" ? step.status : ((status as readonly RunStatus[])[0] ?? now.status),
    token: to === "running" ? tokenOf(step) : to === "stopping" ? now.token : undefined,
    attempt: now.attempt + (name === "claim" ? 1 : 0),
    cancel: step.kind === "cancel" ? { revision: (now.cancel?.revision ?? 0) + 1, action: step.action } : now.cancel,
  };
}

const tokenOf = (step: Step): string | undefined => ("token" in step ? step.token : undefined);

/** Tries the step on the stores, by an actor who has read `read`; answers whether it says to have landed. */
export async function perform(
  {
    runs,
    leases,
  }: { runs: RunStore; leases: { takeOver(run: Run, lease: NonNullable<Run["lease"]>): Promise<unknown> } },
  step: Step,
  read: Run,
): Promise<boolean> {
  const lease = (token: string) => ({ token, server: "server", until: new Date(0), unfenced: [] });
  const end = { lastSequence: 1 };
  const request = { reason: "", requestedBy: "client" } as const;
  switch (step.kind) {
    case "claim":
      return (await runs.claim(read, lease(step.token))) !== undefined;
    case "finish":
      return (await runs.finish(read, step.token, { ...end, status: step.status })) !== undefined;
    case "handBack":
      return (await runs.handBack(read, step.token, { ...end, lost: step.lost, suspect: false })) !== undefined;
    case "cancel":
      return read.phase === "waiting"
        ? (await runs.cancelWaiting(read, { ...request, action: step.action })) !== undefined
        : (await runs.requestCancel(read, read.cancellation?.revision ?? 0, { ...request, action: step.action })) !==
            undefined;
    case "settleCancelled":
      if (!read.cancellation) return false;
      return (await runs.settleCancelled(read, step.token, { ...end, outcome: "stopped" })) !== undefined;
    case "takeOver":
      return read.lease !== undefined && (await leases.takeOver(read, lease(step.token))) !== undefined;
  }
}
