import { AsyncLocalStorage } from "node:async_hooks";
import { EventQueue } from "./event-queue.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** Something that happens at its time, unless it is cancelled or its process is dead by then. */
export interface Scheduled {
  at: number;
  readonly order: number;
  /** Whose event it is; of nobody in particular when absent, and then it always happens. */
  readonly process: SimulatedProcess | undefined;
  /** Timers of a machine that was suspended go on where they were; messages that came meanwhile are there at once. */
  readonly isTimer: boolean;
  readonly label: string;
  readonly happen: () => void;
  isCancelled: boolean;
}

/** Whatever is asynchronous must come from here: kept from the real clock before anything is replaced. */
const nextTurn = setImmediate;

/** When every simulation begins, in milliseconds since 1970. */
const beginning = Date.UTC(2030, 0, 1);

/**
 * The only clock and the only source of events. One event happens at a time, and all that follows from it without another
 * event, promises included, is done before the next one; so that the order of everything follows from the seed.
 */
export class Timeline {
  /** Who is at work: what it schedules is its own. */
  readonly current = new AsyncLocalStorage<SimulatedProcess | undefined>();
  /** Milliseconds since 1970, by the database's clock. */
  now = beginning;
  /** Distinguishes two histories: the same seed always brings the same one. */
  hash = 0x811c9dc5;
  events = 0;
  readonly #queue = new EventQueue<Scheduled>();
  readonly #lines: string[] | undefined;
  /** In nobody's name. */
  readonly #outside = this.current.run(undefined, () => AsyncLocalStorage.snapshot());
  #order = 0;

  /** `keepsLines` is for a human reader, and costs time. */
  constructor(keepsLines = false) {
    this.#lines = keepsLines ? [] : undefined;
  }

  /** Milliseconds since the simulation began. */
  get elapsed(): number {
    return this.now - beginning;
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  schedule(
    delayMs: number,
    process: SimulatedProcess | undefined,
    label: string,
    happen: () => void,
    isTimer = false,
  ): Scheduled {
    this.#order += 1;
    const at = this.now + Math.max(0, delayMs);
    const one: Scheduled = { at, order: this.#order, process, isTimer, label, happen, isCancelled: false };
    this.#queue.push(one);
    return one;
  }

  /** Puts what a stopped process has not had back into the queue. */
  putBack(one: Scheduled, at: number): void {
    one.at = Math.max(this.now, at);
    this.#queue.push(one);
  }

  /** A line of the trace, which is also part of the history's hash. */
  note(text: string): void {
    let { hash } = this;
    hash = Math.imul(hash ^ ((this.elapsed * 1000) | 0), 0x01000193);
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    this.hash = hash;
    this.#lines?.push(`${this.elapsed.toFixed(1).padStart(9)}  ${text}`);
  }

  /** A line for a reader only. */
  remark(text: () => string): void {
    this.#lines?.push(`${" ".repeat(11)}${text()}`);
  }

  /**
   * Lets events happen until there is none left or it is `done`; `checked` is called between two of them. Rejects with what
   * an event, or a check, throws.
   */
  run(done: () => boolean, checked: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          checked();
          if (done() || !this.#happen()) return resolve();
        } catch (error) {
          return reject(error);
        }
        nextTurn(turn);
      };
      turn();
    });
  }

  /** False when nothing is left. */
  #happen(): boolean {
    const one = this.#queue.pop();
    if (!one) return false;
    if (one.isCancelled || one.process?.state === "dead") return true;
    this.now = one.at;
    if (one.process?.state === "stopped") {
      one.process.held.push(one);
      return true;
    }
    this.events += 1;
    this.note(one.process ? `${one.process.name}: ${one.label}` : one.label);
    if (one.process) one.process.within(one.happen);
    else this.#outside(one.happen);
    return true;
  }
}
