import type { Batch } from "./domain/batch.ts";
import type { Run, RunName } from "./domain/run.ts";
import type { EventChunk } from "./domain/run-events.ts";

/** Something that one part tells whoever wants to know. What needs an answer is a call, and no signal. */
export interface Signal<Facts extends readonly unknown[] = []> {
  /** Tells the listeners, in the order in which they came, before it returns. Never throws, whatever they do. */
  emit(...facts: Facts): void;
  /** Listens from now on. What the listener throws, or its promise is rejected with, is only logged. */
  on(listener: (...facts: Facts) => unknown): void;
}

/** What the parts of one server tell each other. Made before them, so that none of them must know another that comes later. */
export interface Signals {
  /** A run has its thread's turn and waits for a worker. */
  readonly turnPassed: Signal;
  /** A run has given back the place that it had borrowed from its parent. */
  readonly placeReturned: Signal;
  /** The cancel of a run that executes somewhere is stored. */
  readonly cancelStored: Signal<[run: Run]>;
  /** Events of a run are stored. */
  readonly published: Signal<[run: RunName, chunk: EventChunk]>;
  /** A run is over for everybody: its thread knows of its end. */
  readonly over: Signal<[run: Run]>;
  /** A delayed run is stored; its delay ends at the time. */
  readonly due: Signal<[time: Date]>;
  /** All runs of the batch are created: none of them will be created again. */
  readonly batchDone: Signal<[batch: Batch]>;
}

/** `onError` gets what a listener fails with. */
export function createSignals(onError: (error: unknown) => void): Signals {
  return {
    turnPassed: createSignal(onError),
    placeReturned: createSignal(onError),
    cancelStored: createSignal(onError),
    published: createSignal(onError),
    over: createSignal(onError),
    due: createSignal(onError),
    batchDone: createSignal(onError),
  };
}

export function createSignal<Facts extends readonly unknown[]>(onError: (error: unknown) => void): Signal<Facts> {
  const listeners: ((...facts: Facts) => unknown)[] = [];
  return {
    emit(...facts) {
      for (const listener of listeners) {
        try {
          const answer = listener(...facts);
          if (answer instanceof Promise) answer.catch(onError);
        } catch (error) {
          onError(error);
        }
      }
    },
    on(listener) {
      listeners.push(listener);
    },
  };
}
