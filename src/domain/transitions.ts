/**
 * The life of a run: its statuses, its phases, and every change between them. Phases change in
 * thread/move.ts alone, which throws where this table does not allow it.
 */
export const runStatuses = ["pending", "running", "success", "error", "timeout", "interrupted"] as const;
export type RunStatus = (typeof runStatuses)[number];
/** Those of runs that are not over. */
export const liveStatuses: readonly RunStatus[] = ["pending", "running"];

export const threadStatuses = ["idle", "busy", "interrupted", "error"] as const;
export type ThreadStatus = (typeof threadStatuses)[number];

/**
 * What is being done with a run. `waiting` for its turn or a slot; `running`; `stopping`: a cancel is stored and the nodes
 * may still run; `rolling_back`: nothing of it runs any more and what it stored is being removed; `over`.
 */
export type Phase = "waiting" | "running" | "stopping" | "rolling_back" | "over";

export type CancelAction = "interrupt" | "rollback";
export type CancelOutcome = "requested" | "never_started" | "stopped" | "killed" | "fenced";
export type Durability = "sync" | "async" | "exit";
export type MultitaskStrategy = "enqueue" | "reject" | "interrupt" | "rollback";

export const streamModes = [
  "values",
  "updates",
  "messages",
  "messages-tuple",
  "custom",
  "tasks",
  "checkpoints",
  "debug",
  "events",
  "tools",
] as const;
export type StreamMode = (typeof streamModes)[number];

export interface Transition {
  readonly from: readonly Phase[];
  readonly to: Phase;
  /** The statuses that the change may set; the status stays when empty. */
  readonly status: readonly RunStatus[];
  /** Whether a stored cancel forbids the change, is needed for it, or does not matter. */
  readonly cancel: "absent" | "present" | "any";
  /** Whether only the holder of the lease may do it. */
  readonly lease: "held" | "none";
}

export const transitions = {
  /** A worker takes the run. */
  claim: { from: ["waiting"], to: "running", status: ["running"], cancel: "absent", lease: "none" },
  /** The graph came to its end, or failed, or the run's time was over. */
  finish: { from: ["running"], to: "over", status: ["success", "error", "timeout"], cancel: "absent", lease: "held" },
  /** The execution ended without an outcome; the run goes on later from its last checkpoint. */
  handBack: { from: ["running"], to: "waiting", status: ["pending"], cancel: "absent", lease: "held" },
  /** A cancel of a run that executes; also the upgrade from interrupt to rollback. */
  requestCancel: { from: ["running", "stopping"], to: "stopping", status: [], cancel: "any", lease: "none" },
  /** A cancel of a run that does not execute is its end. */
  cancelWaiting: { from: ["waiting"], to: "over", status: ["interrupted"], cancel: "absent", lease: "none" },
  rollBackWaiting: { from: ["waiting"], to: "rolling_back", status: [], cancel: "absent", lease: "none" },
  /** Nothing of the cancelled run runs any more. */
  settleInterrupt: { from: ["stopping"], to: "over", status: ["interrupted"], cancel: "present", lease: "held" },
  settleRollback: { from: ["stopping"], to: "rolling_back", status: [], cancel: "present", lease: "held" },
  /** Nothing is left of what the run stored. */
  finishRollback: { from: ["rolling_back"], to: "over", status: ["interrupted"], cancel: "present", lease: "none" },
} as const satisfies Record<string, Transition>;

export type TransitionName = keyof typeof transitions;

export const terminalStatuses: readonly RunStatus[] = ["success", "error", "timeout", "interrupted"];

export const isTerminal = (status: RunStatus): boolean => terminalStatuses.includes(status);

/** After this many lost attempts a run ends as an error. */
export const maxLostAttempts = 3;
