import type {
  CancelAction,
  CancelOutcome,
  Durability,
  MultitaskStrategy,
  Phase,
  RunStatus,
  StreamMode,
} from "../transitions.ts";

/** JSON text. Payloads stay text on their way through the server: only their ends parse them. */
export type Json = string;

/** What a run is to do, as it was asked for. */
export interface RunSpec {
  readonly assistantId: string;
  readonly input?: Json;
  readonly command?: {
    readonly resume?: Json;
    readonly update?: Json;
    readonly goto: readonly string[];
    /** Nodes to go to, each with an input of its own; absent for none. */
    readonly sends?: readonly { readonly node: string; readonly input?: Json }[];
  };
  /** An answer to a question that is not open is refused; absent for a run that answers nothing. */
  readonly strictResume?: boolean;
  readonly config?: {
    readonly tags: readonly string[];
    readonly recursionLimit?: number;
    readonly configurable?: Json;
    /** Stands below the run's own metadata where the graph sees it. */
    readonly metadata?: Json;
  };
  readonly context?: Json;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly checkpointId?: string;
  readonly checkpoint?: CheckpointName;
  readonly streamModes: readonly StreamMode[];
  readonly streamSubgraphs: boolean;
  readonly interruptBefore: readonly string[];
  readonly interruptAfter: readonly string[];
  readonly multitaskStrategy: MultitaskStrategy;
  readonly durability: Durability;
  readonly timeoutMs?: number;
  /** Join the thread's order only after this time. */
  readonly afterMs?: number;
  /** Of a stateless run: what becomes of its temporary thread. */
  readonly onCompletion: "delete" | "keep";
  readonly webhook?: string;
  /** Who asks, where an auth file says who that is. */
  readonly caller?: CallerOfRun;
}

/** A user of an auth file, who has created a run. */
export interface CallerOfRun {
  readonly identity: string;
  /** All that the file says of the user, as the graph is told it: an object. */
  readonly user: Json;
  /** A thread that is made for the run is born with it. */
  readonly threadMetadata: Readonly<Record<string, unknown>>;
}

/** Names a checkpoint, also one of a subgraph. Without `checkpointId` the newest of its namespace. */
export interface CheckpointName {
  readonly checkpointId?: string;
  /** Empty for the graph itself. */
  readonly checkpointNs: string;
  /** Of a subgraph's checkpoint: those that it was made under, by namespace. */
  readonly checkpointMap?: Readonly<Record<string, string>>;
}

export type Requester = "client" | "disconnect" | "multitask" | "parent";

/** The stored wish to stop a run, and what came of it. */
export interface Cancellation {
  readonly action: CancelAction;
  readonly reason: string;
  readonly requestedBy: Requester;
  readonly actor?: string;
  /** The run for whose sake it was asked: the new run of a multitask strategy, or the parent. */
  readonly causeRunId?: string;
  readonly requestedAt: Date;
  readonly deliveredAt?: Date;
  readonly settledAt?: Date;
  readonly outcome: CancelOutcome;
}

export interface RunError {
  readonly name: string;
  readonly message: string;
}

/** A run's record: what was asked for, and its life as far as the record has been brought up to its thread's lane. */
export interface Run {
  readonly owner: string;
  readonly runId: string;
  readonly threadId: string;
  readonly graph: string;
  /** The resolved assistant: a graph's own, or a configured one, as it was when the run was created. */
  readonly assistant: AssistantOfRun;
  /** Names this storing of the record, so that whoever removes one that was left removes no later one. */
  readonly made: string;
  /** The journal of its thread, as soon as its record says that it has an entry: a later thread with the same id has another one. */
  readonly journal?: string;
  /** The change of its entry that the record says; 0 for none: nobody knows yet whether it has an entry at all. */
  readonly changes: number;
  /** The order of creation on the thread; 0 as long as nobody knows. */
  readonly n: number;
  readonly spec: RunSpec;
  /** So many characters of what it was given (given.ts) are not in here: they lie apart, until they are asked for. */
  readonly givenApart?: number;
  readonly status: RunStatus;
  readonly phase: Phase;
  /** Executions so far. */
  readonly attempt: number;
  readonly cancellation?: Cancellation;
  readonly createdAt: Date;
  readonly startedAt?: Date;
  readonly endedAt?: Date;
  readonly error?: RunError;
  /** The last stored event's number, while nothing of the run executes. */
  readonly lastSequence?: number;
  readonly endCheckpointId?: string;
  /** The run is delayed: when it joins its thread's order. */
  readonly dueAt?: Date;
  readonly parent?: ParentOfRun;
  /** Who created it, where that is known. */
  readonly actor?: string;
  /** Of a run that was created with a request id: what tells a repeat of that request from another one. */
  readonly request?: string;
  /** It was created without a thread: the server made one for it. */
  readonly stateless?: StatelessRun;
  /** Whether its webhook has been told of its end; absent without one. */
  readonly webhook?: WebhookDelivery;
}

export interface StatelessRun {
  /** The thread disappears with the run. */
  readonly temporary: boolean;
  /** The batch that it was created with. */
  readonly batch?: string;
}

export interface WebhookDelivery {
  /** Pending from the run's creation on; nothing is delivered before its end. */
  readonly state: "pending" | "done" | "failed";
  readonly tries: number;
  /** When the last one began. */
  readonly lastTryAt?: Date;
  /** Why the last one came to nothing: one sentence for whoever reads the run. */
  readonly lastError?: string;
  /** When whoever has made it makes the next one. */
  readonly nextTryAt?: Date;
  /** When whoever makes the try that is under way must have been heard of again. */
  readonly dueAt?: Date;
  /** Of a run whose record is gone: what the webhook is still to be told, kept until it is, or as long as the tombstone. */
  readonly kept?: { readonly metadata: RunSpec["metadata"]; readonly values?: Json };
}

export interface AssistantOfRun {
  readonly assistantId: string;
  readonly version: number;
  /** What its configuration puts under the run's own; absent for a graph's own assistant. */
  readonly config?: RunSpec["config"];
  readonly context?: Json;
}

/** The run whose node created a run. */
export interface ParentOfRun {
  readonly threadId: string;
  readonly runId: string;
  /** It is not cancelled with its parent. */
  readonly independent: boolean;
}

/** Names a run. Both ids are needed: a run of another thread does not exist. */
export interface RunName {
  readonly owner: string;
  readonly threadId: string;
  readonly runId: string;
}

/** The run as the key of a map. */
export const keyOfRun = ({ owner, threadId, runId }: RunName): string => `${owner}/${threadId}/${runId}`;

export const runName = (run: RunName): RunName => ({ owner: run.owner, threadId: run.threadId, runId: run.runId });
