import type { LedgerLine } from "./ledger.ts";
import type { Plan } from "./plan.ts";

/** What is told of a run: its status, or that there is no such run (any more), as after a rollback. */
export type ToldStatus = "pending" | "running" | "success" | "error" | "timeout" | "interrupted" | "gone";

/** A run that a client wanted. All times are by the ledger's clock. */
export interface Work {
  readonly plan: Plan;
  /** Empty as long as the thread of a stateless run is not known. */
  threadId: string;
  readonly strategy: "enqueue" | "reject" | "interrupt" | "rollback";
  readonly durability: "sync" | "async" | "exit";
  readonly isDelayed: boolean;
  /** It goes with its temporary thread when it is over. */
  readonly vanishes: boolean;
  readonly sentAt: number;
  /** The id in each answer. */
  readonly answers: string[];
  answeredAt: number | undefined;
  /** Refused: by an answer, and no try before was without one. */
  outcome: "open" | "created" | "refused" | "unsure";
}

/** What an answer has said of a run. */
export interface Told {
  readonly sentAt: number;
  readonly at: number;
  readonly server: number;
  readonly by: "get" | "list" | "join" | "wait" | "stream" | "cancel";
  readonly run: string;
  readonly status: ToldStatus;
  /** Of a cancelled run. */
  readonly action?: "interrupt" | "rollback";
  readonly error?: string;
  /** Who has cancelled it, and for which run's sake. */
  readonly cause?: string;
  /** The faults are over, and nothing is live any more. */
  readonly isFinal?: boolean;
}

/** A cancel that a client has asked for, of one run or of all of a thread; or its leaving, or the removal of the thread. */
export interface Asked {
  readonly by: "cancel" | "leave" | "delete";
  readonly thread: string;
  readonly run?: string;
  readonly action: "interrupt" | "rollback";
  readonly sentAt: number;
  /** The answer said that it is stored. */
  readonly isKept: boolean;
}

/** An edit of a thread's state, which puts its name into the log. */
export interface Edit {
  readonly thread: string;
  readonly entry: string;
  readonly outcome: "done" | "refused" | "unsure";
}

/** One call that reads a run's events. */
export interface Connection {
  readonly server: number;
  /** The sequence after which it reads. */
  readonly after: number;
  readonly got: readonly StreamedEvent[];
  /** How it ended: with the terminal event, or closed without it, or by an error. */
  readonly end: "ended" | "closed" | "gone" | "out of range" | "refused" | "cut";
}

export interface StreamedEvent {
  readonly sequence: number;
  readonly kind: "created" | "attempt" | "output" | "ended";
  /** All that it says, as text. */
  readonly says: string;
  /** What the terminal event says of the run. */
  readonly end?: Pick<Told, "status" | "action" | "error">;
}

export interface Reader {
  readonly run: string;
  readonly connections: Connection[];
}

/** A process that was stopped and continued. */
export interface Freeze {
  readonly pid: number;
  readonly from: number;
  readonly to: number;
}

/** What a server says of a thread at the end. */
export interface ThreadAtEnd {
  readonly thread: string;
  readonly server: number;
  readonly status: "idle" | "busy" | "interrupted" | "error" | "gone";
  /** As SearchThreads has it. */
  readonly searched: ThreadAtEnd["status"];
  readonly next: readonly string[];
  readonly log: readonly string[];
  /** The runs that its history names. */
  readonly history: readonly string[];
  readonly listed: readonly ListedRun[];
}

/** Newest first, as the list has them. */
export interface ListedRun {
  readonly run: string;
  readonly work: string;
  readonly startedAt: number | undefined;
}

/** All that was seen of one schedule. */
export interface Evidence {
  readonly leaseMs: number;
  readonly ledger: readonly LedgerLine[];
  readonly works: readonly Work[];
  readonly told: readonly Told[];
  readonly asked: readonly Asked[];
  readonly edits: readonly Edit[];
  readonly readers: readonly Reader[];
  readonly freezes: readonly Freeze[];
  readonly threads: readonly ThreadAtEnd[];
  /** What clients should never be told, and waits that did not end. */
  readonly complaints: readonly string[];
}

export interface Violation {
  readonly law: string;
  readonly says: string;
  /** What it is about: lines of the ledger and answers. */
  readonly lines: readonly string[];
}

export const isOver = (status: ToldStatus): boolean => status !== "pending" && status !== "running";

/** The outcome that everybody is to agree about: a rolled back run is gone, also for those who were told of its end. */
export const outcomeOf = ({ status, action }: Told): ToldStatus =>
  status === "interrupted" && action === "rollback" ? "gone" : status;
