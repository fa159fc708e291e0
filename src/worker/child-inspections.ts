import { randomUUID } from "node:crypto";
import { FencedError } from "../checkpoints/journal-port.ts";
import { DomainError, type ErrorReason } from "../domain/errors.ts";
import { shortened } from "../domain/shortened.ts";
import type { StoragePort } from "./attempt-host.ts";
import { callStorage } from "./child-attempt.ts";
import type { ProcessLostError } from "./process-lost-error.ts";
import type {
  ChildMessage,
  ChildRequest,
  EditPart,
  Inspection,
  InspectionAnswer,
  InspectionAnswers,
  ParentMessage,
} from "./protocol.ts";

export interface InspectionsOptions {
  readonly timeoutMs: number;
  readonly send: (message: ParentMessage) => void;
  /** One was not answered in time. */
  readonly overdue: () => void;
  /** The last one that was under way is over. */
  readonly ended: () => void;
}

export interface AskedInspection<I extends Inspection> {
  /** Rejects with a {@link DomainError} when this question failed, with a {@link ProcessLostError} when the process did. */
  readonly answer: Promise<InspectionAnswers[I["kind"]]>;
  /** Resolves when the process stands still before it has answered. */
  readonly stalled: Promise<void>;
}

type Inspected = Extract<ChildMessage, { type: "inspected" }>;

interface PendingInspection {
  /** Absent when no thread is read. */
  readonly storage: StoragePort | undefined;
  readonly inspection: Inspection;
  readonly answer: PromiseWithResolvers<InspectionAnswer>;
  readonly stalled: PromiseWithResolvers<void>;
  readonly timer: NodeJS.Timeout;
  /** The storage's own failure, which says more than what the child makes of it. */
  storageError?: Error;
}

/** The server's half of the inspections in one child process: what was asked, and what may be read and written for it. */
export class ChildInspections {
  readonly #options: InspectionsOptions;
  readonly #pending = new Map<string, PendingInspection>();
  #since = 0;

  constructor(options: InspectionsOptions) {
    this.#options = options;
  }

  get underWay(): boolean {
    return this.#pending.size > 0;
  }

  /** For how long there has been one after the other without a break. */
  get lastedMs(): number {
    return this.underWay ? performance.now() - this.#since : 0;
  }

  ask<I extends Inspection>(storage: StoragePort | undefined, inspection: I): AskedInspection<I> {
    const scope = randomUUID();
    if (!this.underWay) this.#since = performance.now();
    const answer = Promise.withResolvers<InspectionAnswer>();
    const stalled = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.#overdue(scope), this.#options.timeoutMs);
    this.#pending.set(scope, { storage, inspection, answer, stalled, timer });
    this.#options.send({ type: "inspect", scope, inspection });
    // The child answers what its kind of inspection is answered with.
    return { answer: answer.promise as Promise<InspectionAnswers[I["kind"]]>, stalled: stalled.promise };
  }

  inspected(message: Inspected): void {
    const pending = this.#take(message.scope);
    if (pending === undefined) return;
    const { inspection, answer, storageError } = pending;
    if (message.error === undefined) answered(pending, message);
    else if (storageError !== undefined) answer.reject(storageError);
    else if (message.refused !== undefined) answer.reject(refused(message.refused, message.error.message));
    else answer.reject(unreadable(inspection, message.error.message));
  }

  /** What the child sent about one is not as the protocol says. */
  malformed(scope: string, problem: string): void {
    const pending = this.#take(scope);
    pending?.answer.reject(unreadable(pending.inspection, `its process sent ${problem}`));
  }

  has(scope: string): boolean {
    return this.#pending.has(scope);
  }

  /** Resolves with the result of a call of the storage that the inspection is bound to. */
  async request(request: ChildRequest): Promise<unknown> {
    const pending = this.#pending.get(request.scope);
    try {
      if (pending === undefined) throw new FencedError(`No inspection ${request.scope} is under way`);
      if (pending.storage === undefined) throw new FencedError("This inspection reads no thread");
      if (request.method === "append" && pending.inspection.kind !== "update") {
        throw new FencedError("An inspection writes nothing");
      }
      return await callStorage(pending.storage, pending.storage.items, request);
    } catch (error) {
      // What long-term memory refuses is for the graph to deal with.
      const isRefusal = request.method === "items" && (error instanceof DomainError || error instanceof FencedError);
      if (pending !== undefined && error instanceof Error && !isRefusal) pending.storageError = error;
      throw error;
    }
  }

  /** The process stands still: whoever can ask elsewhere does so. */
  stall(): void {
    for (const { stalled } of this.#pending.values()) stalled.resolve();
  }

  /** The process is gone. */
  lost(error: ProcessLostError): void {
    for (const scope of [...this.#pending.keys()]) this.#take(scope)?.answer.reject(error);
  }

  #overdue(scope: string): void {
    const pending = this.#pending.get(scope);
    if (pending === undefined) return;
    const { inspection, answer } = pending;
    const seconds = this.#options.timeoutMs / 1000;
    answer.reject(unreadable(inspection, `it did not answer within ${seconds} s`, "GRAPH_TIMEOUT"));
    // The kill comes first: an attempt that waits for the inspection's end must not begin in a process that is going to end.
    this.#options.overdue();
    this.#take(scope);
  }

  #take(scope: string): PendingInspection | undefined {
    const pending = this.#pending.get(scope);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    this.#pending.delete(scope);
    if (!this.underWay) this.#options.ended();
    return pending;
  }
}

/** States, a drawing or schemas: what the question asks for and nothing else. */
function answered({ inspection, answer }: PendingInspection, { states, description }: Inspected): void {
  const told = description === undefined ? "states" : "nodes" in description ? "graph" : "schemas";
  const asked = inspection.kind === "graph" || inspection.kind === "schemas" ? inspection.kind : "states";
  if (told === asked) answer.resolve(description ?? states ?? []);
  else answer.reject(unreadable(inspection, "its process answered something else"));
}

/** The answer to a question that the graph cannot answer. */
export function unreadable(
  { kind, graph }: Inspection,
  why: string,
  reason: ErrorReason = "GRAPH_UNAVAILABLE",
): DomainError {
  const sentence = `${cannotBe[kind]} the graph "${graph}": ${shortened(why, sentenceCharacters)}`;
  return new DomainError(reason, sentence, { metadata: { graph } });
}

/** What a graph says of itself goes into headers and trailers. */
const sentenceCharacters = 2000;

const cannotBe: Record<Inspection["kind"], string> = {
  state: "The state cannot be read with",
  history: "The state cannot be read with",
  update: "The state cannot be edited with",
  graph: "There is no drawing of",
  schemas: "There are no schemas of",
};

function refused(field: EditPart, sentence: string): DomainError {
  return new DomainError("INVALID_FIELD", `${field}: ${shortened(sentence, sentenceCharacters)}`, {
    metadata: { field },
  });
}
