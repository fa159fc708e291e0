/**
 * The messages between the server (parent) and a child process that executes graphs. Plain data, carried by Node's IPC
 * channel with 'advanced' serialization. JSON payloads travel as text, so that the parent need not parse them.
 */

import type { JournalFlush, JournalListQuery, JournalReadQuery } from "../checkpoints/journal-port.ts";
import type { Json, RunSpec } from "../domain/run/run.ts";
import type { CancelAction, StreamMode } from "../domain/transitions.ts";

/** How a graph is named in `langgraph.json`, resolved. */
export interface GraphSpec {
  readonly name: string;
  /** Absolute path of the file. */
  readonly file: string;
  readonly exportName: string;
  /** `dedicated`: one run a process, which ends with the run. */
  readonly isolation: "shared" | "dedicated";
  readonly description?: string;
  /** What its own assistant puts under the configuration and the context of each run. */
  readonly config?: RunSpec["config"];
  readonly context?: Json;
}

/** One execution of a run, as the child gets it. */
export interface AttemptSpec {
  /** Names the attempt in every later message: the lease token. */
  readonly attemptId: string;
  readonly runId: string;
  readonly threadId: string;
  readonly assistantId: string;
  readonly graph: string;
  readonly attempt: number;
  /** The thread is known to have no checkpoint yet. */
  readonly isEmptyThread?: boolean;
  /** JSON text of the input; absent means null (go on from where the thread stands). */
  readonly input?: string;
  readonly command?: {
    readonly resume?: string;
    readonly update?: string;
    readonly goto?: readonly string[];
    readonly sends?: readonly { readonly node: string; readonly input?: string }[];
  };
  /** The answer must be to a question that is open where the attempt begins. */
  readonly strictResume?: boolean;
  readonly config: {
    readonly tags: readonly string[];
    readonly recursionLimit?: number;
    /** JSON text of an object. */
    readonly configurable?: string;
  };
  /** JSON text of an object. */
  readonly context?: string;
  /** JSON text of an object; put on the checkpoints together with run_id, thread_id, assistant_id and graph_id. */
  readonly metadata?: string;
  /** The checkpoint of the graph itself to start from. */
  readonly checkpointId?: string;
  /** To start inside a subgraph: its checkpoint and those that it was made under, by namespace, the graph's own included. */
  readonly checkpointMap?: Readonly<Record<string, string>>;
  readonly streamModes: readonly StreamMode[];
  readonly streamSubgraphs: boolean;
  readonly interruptBefore?: readonly string[];
  readonly interruptAfter?: readonly string[];
  readonly durability: "sync" | "async" | "exit";
}

/**
 * One output event: mode, event name, namespace path, JSON text of the data, and the checkpoints of the run's own graph that were
 * made since the event before it.
 */
export type OutputTuple = readonly [
  mode: StreamMode,
  name: string,
  namespace: readonly string[],
  json: string,
  after?: readonly string[],
];

export interface ErrorReport {
  readonly name: string;
  readonly message: string;
}

export interface InterruptReport {
  readonly id: string;
  /** The task of the thread's own graph that asks, or below which a subgraph's task asks. */
  readonly taskId: string;
  /** JSON text. */
  readonly value: string;
}

/** A StateSnapshot; `values`, `result` and `metadata` are JSON text. */
export interface StateReport {
  readonly checkpointId?: string;
  readonly checkpointNs: string;
  /** Of a subgraph's checkpoint. */
  readonly checkpointMap?: Readonly<Record<string, string>>;
  readonly parentCheckpointId?: string;
  readonly parentCheckpointNs?: string;
  /** Absent when left out or when there is no checkpoint. */
  readonly values?: string;
  readonly next: readonly string[];
  readonly tasks: readonly {
    readonly id: string;
    readonly name: string;
    readonly error?: string;
    readonly interrupts: readonly InterruptReport[];
    readonly checkpoint?: {
      readonly checkpointId: string;
      readonly checkpointNs: string;
      readonly checkpointMap?: Readonly<Record<string, string>>;
    };
    readonly result?: string;
    /** Of the subgraph that it runs, when that was asked for. */
    readonly state?: StateReport;
  }[];
  readonly metadata?: string;
  /** RFC 3339. */
  readonly createdAt?: string;
  readonly interrupts: readonly InterruptReport[];
}

/**
 * How an attempt ended. It is sent only when every node function that the attempt started has settled and the saver is quiet
 * and closed, so that nothing of the attempt happens after it.
 */
export interface AttemptEnd {
  /**
   * `refused`: its answer is to no open question, so that nothing was begun; `stopped`: the abort was heard; `drained`: it stopped at a
   * step boundary on request and can go on elsewhere.
   */
  readonly kind: "success" | "error" | "refused" | "stopped" | "drained";
  readonly error?: ErrorReport;
  /** The thread's state at the end; absent when it could not be computed. */
  readonly state?: StateReport;
}

/** What a graph's store asks of the long-term memory. Whose memory it is, the parent knows and the child does not say. */
export interface ItemsPort {
  /**
   * Answers each operation. The reads come first, so that they see nothing of the writes beside them; of several writes of one
   * item the last one counts. Rejects with a FencedError once the attempt may not write any more.
   */
  batch(operations: readonly ItemOperation[]): Promise<readonly ItemAnswer[]>;
}

/** LangGraph's operations; `value` and `filter` are JSON text of objects. */
export type ItemOperation =
  | { readonly kind: "get"; readonly namespace: readonly string[]; readonly key: string }
  | { readonly kind: "put"; readonly namespace: readonly string[]; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly namespace: readonly string[]; readonly key: string }
  | {
      readonly kind: "search";
      readonly namespacePrefix: readonly string[];
      readonly filter?: string;
      readonly limit?: number;
      readonly offset?: number;
    }
  | {
      readonly kind: "namespaces";
      readonly match: readonly { readonly at: "prefix" | "suffix"; readonly labels: readonly string[] }[];
      readonly maxDepth?: number;
      readonly limit?: number;
      readonly offset?: number;
    };

/** By the operation's kind: an item or null, items, namespaces; null for a write. */
export type ItemAnswer = ItemReport | readonly ItemReport[] | readonly (readonly string[])[] | null;

export interface ItemReport {
  readonly namespace: readonly string[];
  readonly key: string;
  /** JSON text of an object. */
  readonly value: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Reads and edits that need the graph but run none of its nodes. */
export type Inspection =
  | {
      readonly kind: "state";
      readonly graph: string;
      readonly opened?: OpenedBy;
      readonly checkpointId?: string;
      /** The subgraph; the graph itself when absent. */
      readonly checkpointNs?: string;
      readonly subgraphs?: boolean;
      readonly omitValues: boolean;
    }
  | {
      readonly kind: "history";
      readonly graph: string;
      readonly opened?: OpenedBy;
      readonly limit: number;
      readonly beforeCheckpointId?: string;
      readonly checkpointNs?: string;
      /** Top-level fields of the checkpoints' metadata that must be equal. */
      readonly metadata?: Readonly<Record<string, unknown>>;
      readonly omitValues: boolean;
    }
  /** Writes what a node would have returned, in one flush; answers no state. */
  | {
      readonly kind: "update";
      readonly graph: string;
      readonly opened?: OpenedBy;
      readonly checkpointId?: string;
      readonly checkpointNs?: string;
      /** JSON text; absent means null. */
      readonly values?: string;
      readonly asNode?: string;
      /** JSON text of an object, put on the new checkpoint. */
      readonly metadata: string;
    }
  | { readonly kind: "graph"; readonly graph: string; readonly opened: OpenedBy; readonly subgraphDepth: number }
  | { readonly kind: "schemas"; readonly graph: string; readonly opened: OpenedBy };

/** What a graph's factory is called with: JSON text of objects. */
export interface OpenedBy {
  readonly assistantId: string;
  readonly configurable?: string;
  readonly context?: string;
}

/** What is answered, by the inspection's kind. */
export interface InspectionAnswers {
  readonly state: readonly StateReport[];
  readonly history: readonly StateReport[];
  readonly update: readonly StateReport[];
  readonly graph: GraphDrawing;
  readonly schemas: GraphSchemas;
}

export type InspectionAnswer = InspectionAnswers[Inspection["kind"]];

export interface GraphDrawing {
  readonly nodes: readonly {
    readonly id: string;
    readonly name: string;
    /** JSON text of an object. */
    readonly metadata?: string;
  }[];
  readonly edges: readonly {
    readonly source: string;
    readonly target: string;
    readonly label?: string;
    readonly conditional: boolean;
  }[];
}

/** JSON Schemas as JSON text; absent where the graph does not say. */
export interface GraphSchemas {
  readonly input?: string;
  readonly output?: string;
  readonly state?: string;
  readonly config?: string;
  readonly context?: string;
}

export type EditPart = "values" | "as_node";

export interface GraphReport {
  readonly name: string;
  /** Why the graph cannot be used: a sentence with the file's path and the error. Absent when it can. */
  readonly problem?: string;
  /** The nodes' names, when the graph could be compiled without a run's configuration. */
  readonly nodes?: readonly string[];
  /** The names of its subgraphs' nodes, as far as LangGraph knows of them: not of graphs that a node calls in its own code. */
  readonly nodesBelow?: readonly string[];
}

export type ParentMessage =
  | { readonly type: "load"; readonly graphs: readonly GraphSpec[] }
  | { readonly type: "start"; readonly attempt: AttemptSpec }
  /** Stop now: abort the run's signal. Repeating it is harmless. */
  | {
      readonly type: "abort";
      readonly attemptId: string;
      readonly action: CancelAction;
      readonly reason: string;
    }
  /** Stop at the next step boundary. */
  | { readonly type: "drain"; readonly attemptId: string }
  /** The answer to a `request`. */
  | { readonly type: "reply"; readonly requestId: number; readonly result?: unknown; readonly error?: ErrorReport }
  /** Output up to and including this number of events of the attempt is stored. Comes once there is something to make room for. */
  | { readonly type: "stored"; readonly attemptId: string; readonly count: number }
  /** `scope` binds the journal requests of this inspection to its thread. */
  | { readonly type: "inspect"; readonly scope: string; readonly inspection: Inspection }
  | { readonly type: "ping"; readonly sequence: number };

export interface AttemptOutput {
  readonly attemptId: string;
  readonly events: readonly OutputTuple[];
}

/** A call of the JournalPort, or of the ItemsPort. `scope` is an attempt id or an inspection's scope. */
export type ChildRequest = { readonly type: "request"; readonly requestId: number; readonly scope: string } & (
  | { readonly method: "append"; readonly args: readonly [JournalFlush] }
  | { readonly method: "read"; readonly args: readonly [JournalReadQuery] }
  | { readonly method: "list"; readonly args: readonly [JournalListQuery] }
  | { readonly method: "items"; readonly args: readonly [readonly ItemOperation[]] }
);

/** What a child process sends. It is checked once, as it comes in: see child-message.ts. */
export type ChildMessage =
  | { readonly type: "loaded"; readonly graphs: readonly GraphReport[] }
  /** What the process's attempts have put out in one turn of its event loop. */
  | { readonly type: "output"; readonly of: readonly AttemptOutput[] }
  | ChildRequest
  | { readonly type: "end"; readonly attemptId: string; readonly end: AttemptEnd }
  | {
      readonly type: "inspected";
      readonly scope: string;
      readonly states?: readonly StateReport[];
      readonly description?: GraphDrawing | GraphSchemas;
      readonly error?: ErrorReport;
      /** The part of an edit that the graph refuses; absent when the graph itself could not be used. */
      readonly refused?: EditPart;
    }
  /** An unhandled rejection or the like that did not end the process. */
  | { readonly type: "fault"; readonly attemptId?: string; readonly error: ErrorReport & { readonly stack?: string } }
  /** `running`: node functions under way, by attempt. */
  | { readonly type: "pong"; readonly sequence: number; readonly running: Readonly<Record<string, number>> };
