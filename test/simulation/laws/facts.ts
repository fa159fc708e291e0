import type { Entry } from "../../../src/domain/thread/entry.ts";
import type { CancelAction, CancelOutcome, RunStatus } from "../../../src/domain/transitions.ts";
import type { Executions } from "../children/executions.ts";
import type { Plan } from "../children/plan.ts";
import type { SimulatedEngine } from "../engine/simulated-engine.ts";

/** How a run came to its end, as anybody tells it. */
export interface ToldEnd {
  readonly status: RunStatus;
  readonly action?: CancelAction;
  readonly outcome?: CancelOutcome;
}

/** What is known of a run from outside: what was asked for, and what really happened to it. */
export interface RunFacts {
  readonly runId: string;
  threadId: string;
  plan?: Plan;
  /** Its number in its thread's lane, when it came. */
  n?: number;
  strategy?: string;
  isDelayed?: boolean;
  /** Somebody was told that it is created; when that was, and when its creation was first asked for. */
  createdAt?: number;
  askedAt?: number;
  /** The first end that its lane had. */
  end?: ToldEnd;
  /** What somebody was told is stored: the strongest cancel. */
  promised?: CancelAction;
  hasLeft?: boolean;
  /** Its record, or its tombstone, says the end. */
  isRecorded?: boolean;
  /** The thread's incarnation in which it came. */
  journal?: string;
  wasForgotten?: boolean;
  /** Somebody asked for its deletion, or for that of its thread. */
  mayBeDeleted?: boolean;
  claims: number;
  hasExecuted?: boolean;
  /** Its record came when it was over already, since its creator had died before it was stored. */
  wasStoredLate?: boolean;
  /** The entry as it was last. */
  entry?: Entry;
}

/** All that the laws are held against. */
export interface World {
  readonly engine: SimulatedEngine;
  readonly executions: Executions;
  /** Milliseconds since the beginning. */
  readonly elapsed: () => number;
  /** A law is broken. */
  readonly broken: (law: string, what: string) => void;
}

export class Facts {
  readonly runs = new Map<string, RunFacts>();
  /** What is known of each run's first life, if it was created anew since. */
  readonly firstLives = new Map<string, RunFacts>();
  /** Leases of servers that nobody could reach: what still executes under them is excused, and must leave no trace. */
  readonly excused = new Set<string>();
  readonly threadsThatMayGo = new Set<string>();

  of(runId: string, threadId = ""): RunFacts {
    let facts = this.runs.get(runId);
    if (!facts) {
      facts = { runId, threadId, claims: 0 };
      this.runs.set(runId, facts);
    }
    if (threadId !== "") facts.threadId = threadId;
    return facts;
  }

  /** The thread was deleted with the run, and a repeated request, of which nobody ever heard the answer, makes both anew. */
  bearAnew(runId: string): RunFacts {
    const before = this.of(runId);
    const { threadId, plan } = before;
    if (!this.firstLives.has(runId)) this.firstLives.set(runId, before);
    this.runs.set(runId, { runId, threadId, plan, claims: 0 });
    return this.of(runId);
  }

  /** Somebody asks for the deletion of the thread, and with it of all runs that it has or gets. */
  threadMayGo(threadId: string): void {
    this.threadsThatMayGo.add(threadId);
  }
}

export const strength = { interrupt: 1, rollback: 2 } as const;
