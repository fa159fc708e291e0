import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { FencedError } from "../checkpoints/journal-port.ts";
import { DomainError, type ErrorReason } from "../domain/errors.ts";
import { shortened } from "../domain/shortened.ts";
import type { StoragePort } from "./attempt-host.ts";
import { callStorage } from "./child-attempt.ts";
import { errorReport } from "./child-error-report.ts";
import type { WrongMessage } from "./child-message.ts";
import { type ChildProcessSettings, type RunningChild, startChildProcess } from "./child-process.ts";
import { ChildPulse } from "./child-pulse.ts";
import type {
  ChildMessage,
  ChildRequest,
  EditPart,
  GraphReport,
  GraphSpec,
  Inspection,
  InspectionAnswer,
  InspectionAnswers,
} from "./protocol.ts";

export interface InspectionSettings extends ChildProcessSettings {
  readonly loadTimeoutMs: number;
  readonly inspectTimeoutMs: number;
}

/** The process ended before it answered; another question may have been the reason. */
export class ProcessLostError extends Error {
  override readonly name = "ProcessLostError";
  /** The server has ended it, since something took too long. */
  readonly wasSlow: boolean;

  constructor(sentence: string, wasSlow = false) {
    super(sentence);
    this.wasSlow = wasSlow;
  }
}

/** How often a process with open questions is asked whether its event loop turns, and when it is taken to stand still. */
const pulseMs = 250;
const stalledTicks = 8;
type Inspected = Extract<ChildMessage, { type: "inspected" }>;

interface PendingInspection {
  /** Absent when no thread is read. */
  readonly storage: StoragePort | undefined;
  readonly inspection: Inspection;
  readonly resolve: (answer: InspectionAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  /** The journal's own failure, which says more than what the child makes of it. */
  journalError?: Error;
}

/** One process that loads graphs and reads and edits states with them. It executes no run. */
export class InspectionProcess {
  readonly #settings: InspectionSettings;
  readonly #child: RunningChild;
  readonly #pending = new Map<string, PendingInspection>();
  readonly #graphs: readonly GraphSpec[];
  readonly #loaded = Promise.withResolvers<readonly GraphReport[]>();
  readonly #stalled = Promise.withResolvers<void>();
  readonly #pulse = new ChildPulse();
  readonly #beat: NodeJS.Timeout;
  #keptMs = Number.POSITIVE_INFINITY;
  #idle: NodeJS.Timeout | undefined;
  #wasSlow = false;
  #isLoaded = false;
  #ended = false;

  constructor(settings: InspectionSettings, graphs: readonly GraphSpec[]) {
    this.#settings = settings;
    this.#graphs = graphs;
    const child = startChildProcess(settings, {
      message: (message) => this.#receive(message),
      malformed: (message) => this.#malformed(message),
      runIds: () => [],
    });
    if (child === undefined) throw new ProcessLostError("the system has no process to give");
    this.#child = child;
    const timer = setTimeout(() => {
      this.#loaded.reject(new ProcessLostError(`it was not loaded within ${settings.loadTimeoutMs / 1000} s`, true));
      this.kill();
    }, settings.loadTimeoutMs);
    // Who waits for it handles the failure; nobody has to.
    this.#loaded.promise.catch(() => {}).finally(() => clearTimeout(timer));
    this.#beat = setInterval(() => this.#tick(), pulseMs);
    void child.gone.then(({ code, signal }) => {
      this.#ended = true;
      clearInterval(this.#beat);
      clearTimeout(this.#idle);
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      const lost = new ProcessLostError(`the process ended (${how})`, this.#wasSlow);
      this.#loaded.reject(lost);
      for (const scope of [...this.#pending.keys()]) this.#take(scope)?.reject(lost);
    });
    child.send({ type: "load", graphs });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The reports of all graphs; rejects with a {@link ProcessLostError}. */
  get loaded(): Promise<readonly GraphReport[]> {
    return this.#loaded.promise;
  }

  get gone(): Promise<unknown> {
    return this.#child.gone;
  }

  /** Resolves once its event loop has not turned for two seconds while it had questions to answer: one of them keeps all others. */
  get stalled(): Promise<void> {
    return this.#stalled.promise;
  }

  get hasQuestions(): boolean {
    return this.#pending.size > 0;
  }

  /** Ends it when it has had nothing to answer for so long. */
  keep(ms: number): void {
    this.#keptMs = ms;
    this.#rest();
  }

  kill(): void {
    this.#child.kill();
  }

  /** Rejects with a {@link DomainError} when this question failed, with a {@link ProcessLostError} when the process did. */
  inspect<I extends Inspection>(
    storage: StoragePort | undefined,
    inspection: I,
  ): Promise<InspectionAnswers[I["kind"]]> {
    if (this.#ended) return Promise.reject(new ProcessLostError("the process has ended"));
    const scope = randomUUID();
    clearTimeout(this.#idle);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#overdue(scope), this.#settings.inspectTimeoutMs);
      // The child answers what its kind of inspection is answered with.
      const answered = resolve as (answer: InspectionAnswer) => void;
      this.#pending.set(scope, { storage, inspection, resolve: answered, reject, timer });
      this.#child.send({ type: "inspect", scope, inspection });
    });
  }

  #receive(message: ChildMessage): void {
    switch (message.type) {
      case "loaded":
        this.#reported(message.graphs);
        break;
      case "request":
        void this.#answer(message);
        break;
      case "inspected": {
        const pending = this.#take(message.scope);
        if (pending === undefined) break;
        if (message.error === undefined) this.#answered(pending, message);
        else if (pending.journalError !== undefined) pending.reject(pending.journalError);
        else if (message.refused !== undefined) pending.reject(refused(message.refused, message.error.message));
        else pending.reject(unreadable(pending.inspection, message.error.message));
        break;
      }
      case "pong":
        this.#pulse.pong(message.sequence);
        break;
      case "fault":
        this.#settings.log.error(
          { childPid: this.pid, stack: message.error.stack },
          `${message.error.name}: ${message.error.message}`,
        );
        break;
    }
  }

  /** Only what was asked for counts: whatever a graph's code says of another graph would stand in every list of assistants. */
  #reported(reports: readonly GraphReport[]): void {
    const asked = this.#graphs.map(({ name }) => name).sort();
    const told = reports.map(({ name }) => name).sort();
    if (!isDeepStrictEqual(asked, told)) {
      this.#malformed({ problem: "a report of other graphs than those that were to be loaded" });
      return;
    }
    this.#isLoaded = true;
    this.#loaded.resolve(reports);
  }

  /** States, a drawing or schemas: what the question asks for and nothing else. */
  #answered({ inspection, resolve, reject }: PendingInspection, { states, description }: Inspected): void {
    const told = description === undefined ? "states" : "nodes" in description ? "graph" : "schemas";
    const asked = inspection.kind === "graph" || inspection.kind === "schemas" ? inspection.kind : "states";
    if (told === asked) resolve(description ?? states ?? []);
    else reject(unreadable(inspection, "its process answered something else"));
  }

  #malformed({ scope, problem }: WrongMessage): void {
    this.#settings.log.warn({ childPid: this.pid }, `From the inspector: ${problem}`);
    const pending = scope === undefined ? undefined : this.#take(scope);
    if (pending !== undefined) pending.reject(unreadable(pending.inspection, `its process sent ${problem}`));
    if (this.#isLoaded) return;
    this.#loaded.reject(new ProcessLostError(`it sent ${problem}`));
    this.kill();
  }

  async #answer(request: ChildRequest): Promise<void> {
    const { requestId, scope } = request;
    const pending = this.#pending.get(scope);
    try {
      if (pending === undefined) throw new FencedError(`No inspection ${scope} is under way`);
      if (pending.storage === undefined) throw new FencedError("This inspection reads no thread");
      if (request.method === "append" && pending.inspection.kind !== "update") {
        throw new FencedError("An inspection writes nothing");
      }
      this.#child.send({
        type: "reply",
        requestId,
        result: await callStorage(pending.storage, pending.storage.items, request),
      });
    } catch (error) {
      if (request.method !== "items" && pending !== undefined && error instanceof Error) pending.journalError = error;
      this.#child.send({ type: "reply", requestId, error: errorReport(error) });
    }
  }

  #overdue(scope: string): void {
    const pending = this.#take(scope);
    if (pending === undefined) return;
    const seconds = this.#settings.inspectTimeoutMs / 1000;
    pending.reject(unreadable(pending.inspection, `it did not answer within ${seconds} s`, "GRAPH_TIMEOUT"));
    this.#wasSlow = true;
    this.#settings.log.warn(
      { childPid: this.pid, graph: pending.inspection.graph },
      "The inspector did not answer and is killed",
    );
    this.kill();
  }

  #take(scope: string): PendingInspection | undefined {
    const pending = this.#pending.get(scope);
    if (pending !== undefined) clearTimeout(pending.timer);
    this.#pending.delete(scope);
    this.#rest();
    return pending;
  }

  #tick(): void {
    if (this.#pending.size === 0 && this.#pulse.missedTicks === 0) return;
    const sequence = this.#pulse.tick();
    if (sequence !== undefined) this.#child.send({ type: "ping", sequence });
    if (this.#pulse.missedTicks >= stalledTicks && this.#pending.size > 0) this.#stalled.resolve();
  }

  #rest(): void {
    if (this.#ended || this.#pending.size > 0 || !Number.isFinite(this.#keptMs)) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.kill(), this.#keptMs);
  }
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
