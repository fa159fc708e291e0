import type { Logger } from "pino";
import { FencedError, type JournalPort } from "../checkpoints/journal-port.ts";
import type { CancelAction } from "../domain/transitions.ts";
import type { AttemptHooks, AttemptOver } from "./attempt-host.ts";
import type { AttemptEnd, AttemptSpec, ChildRequest, ErrorReport, ItemsPort, OutputTuple } from "./protocol.ts";

/** A fourth of what the child may have on its way: fewer do not keep it waiting. See child/output-window.ts. */
const tellEvents = 250;
const tellCharacters = 250_000;

export interface ChildAttemptOptions {
  readonly spec: AttemptSpec;
  readonly hooks: AttemptHooks;
  readonly log: Logger;
  /** Output up to this number of events is stored. */
  readonly stored: (count: number) => void;
  /** The output could not be stored: the attempt should stop. */
  readonly failed: () => void;
}

/**
 * The server's half of one attempt: hands what the child sends to the hooks, output in order and one call at a time, and
 * reports the outcome exactly once, after everything that came before it.
 */
export class ChildAttempt {
  readonly spec: AttemptSpec;
  /** `start` was sent to the process. */
  started = false;
  /** The action of the stop under way. */
  stopping: CancelAction | undefined;
  /** The grace is over. */
  overdue = false;
  /** A message about it was not as the protocol says: nothing more of it is taken, and its process is going to be killed. */
  malformed: ErrorReport | undefined;
  /** What the child said at the end. */
  end: AttemptEnd | undefined;

  readonly #options: ChildAttemptOptions;
  readonly #handedOver = new Set<Promise<unknown>>();
  #storageCalls = 0;
  #waiting: OutputTuple[] = [];
  #delivering = false;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #stored = 0;
  /** Stored events of which the child has not been told, and their size. */
  #untold = { events: 0, characters: 0 };
  #outputFailed = false;
  #finishing: Promise<void> | undefined;
  #isOver = false;

  constructor(options: ChildAttemptOptions) {
    this.#options = options;
    this.spec = options.spec;
  }

  /** The child has said its last word, or its process is gone: only the outcome is still to be reported. */
  get done(): boolean {
    return this.end !== undefined || this.#finishing !== undefined;
  }

  /** How long ago the server's storage last answered the child; 0 while an answer is awaited, Infinity if none ever was. */
  get sinceStorageMs(): number {
    return this.#storageCalls > 0 || this.#delivering ? 0 : performance.now() - this.#answeredAt;
  }

  delivered(): void {
    if (!this.#isOver) this.#options.hooks.delivered();
  }

  output(events: readonly OutputTuple[]): void {
    if (this.done || this.malformed !== undefined) return;
    for (const event of events) this.#waiting.push(event);
    if (!this.#delivering) this.#track(this.#deliver());
  }

  /** Resolves with the result of a call of the journal or the long-term memory; rejects with a {@link FencedError} once the attempt has ended. */
  async request(request: ChildRequest): Promise<unknown> {
    if (this.done || this.malformed !== undefined)
      throw new FencedError(`The attempt ${this.spec.attemptId} has ended`);
    this.#storageCalls += 1;
    try {
      const { journal, items } = this.#options.hooks;
      return await this.#track(callStorage(journal, items, request));
    } finally {
      this.#storageCalls -= 1;
      this.#answeredAt = performance.now();
    }
  }

  /** Reports the outcome when all that was handed over before is settled. Only the first call counts. */
  finish(outcome: AttemptOver): Promise<void> {
    this.#finishing ??= this.#finish(outcome);
    return this.#finishing;
  }

  async #finish(outcome: AttemptOver): Promise<void> {
    while (this.#handedOver.size > 0) await Promise.allSettled(this.#handedOver);
    this.#isOver = true;
    try {
      this.#options.hooks.over(outcome);
    } catch (error) {
      this.#options.log.error({ err: error, runId: this.spec.runId }, "The end of an attempt could not be handled");
    }
  }

  async #deliver(): Promise<void> {
    this.#delivering = true;
    while (this.#waiting.length > 0) {
      // What gathered during the former call goes with this one.
      const events = this.#waiting;
      this.#waiting = [];
      if (!this.#outputFailed) await this.#store(events);
      this.#acknowledge(events);
    }
    this.#delivering = false;
    this.#answeredAt = performance.now();
  }

  /** Also of what is dropped: a child that waits for room cannot come to its end. */
  #acknowledge(events: readonly OutputTuple[]): void {
    this.#stored += events.length;
    this.#untold.events += events.length;
    for (const [, , , json] of events) this.#untold.characters += json.length;
    if (this.#untold.events < tellEvents && this.#untold.characters < tellCharacters) return;
    this.#untold = { events: 0, characters: 0 };
    this.#options.stored(this.#stored);
  }

  async #store(events: readonly OutputTuple[]): Promise<void> {
    try {
      await this.#options.hooks.output(events);
    } catch (error) {
      this.#outputFailed = true;
      this.#options.log.warn(
        { err: error, runId: this.spec.runId },
        "Output could not be stored; the attempt is stopped",
      );
      this.#options.failed();
    }
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#handedOver.add(work);
    const forget = () => this.#handedOver.delete(work);
    work.then(forget, forget);
    return work;
  }
}

/** The call that a child asks for. */
export async function callStorage(
  journal: JournalPort,
  items: ItemsPort | undefined,
  request: ChildRequest,
): Promise<unknown> {
  switch (request.method) {
    case "append":
      return journal.append(request.args[0]);
    case "read":
      return journal.read(request.args[0]);
    case "list":
      return journal.list(request.args[0]);
    case "items":
      if (items === undefined) throw new FencedError("Long-term memory is not to be had here");
      return items.batch(request.args[0]);
  }
}
