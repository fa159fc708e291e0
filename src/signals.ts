import type { Run, RunName } from "./domain/run/run.ts";
import type { EventChunk } from "./domain/run/run-events.ts";
import type { Server } from "./domain/server.ts";
import type { StopWish } from "./domain/thread/act.ts";

/** Something that one part tells whoever wants to know. What needs an answer is a call, and no signal. */
export interface Signal<Facts extends readonly unknown[] = []> {
  /** Tells the listeners, in the order in which they came, before it returns. Never throws, whatever they do. */
  emit(...facts: Facts): void;
  /** Listens from now on. What the listener throws, or its promise is rejected with, is only logged. */
  on(listener: (...facts: Facts) => unknown): void;
}

/** What the parts of one server tell each other. Made before them, so that none of them must know another that comes later. */
export interface Signals {
  /** A run is first in its lane and waits for a worker. */
  readonly turnPassed: Signal;
  /** A run has given back the slot that it had borrowed from its parent, or a reserved slot was not needed. */
  readonly slotReturned: Signal;
  /** The cancel of a run that executes on a server, this one or another, is stored. */
  readonly cancelStored: Signal<[wish: StopWish]>;
  /** Events of a run are stored. */
  readonly published: Signal<[run: RunName, chunk: EventChunk]>;
  /** A run is over for everybody: its record says so. */
  readonly ended: Signal<[run: Run]>;
  /** A run that could be claimed finds no slot here. */
  readonly slotMissing: Signal;
  /** The other servers that live, as far as this one can tell. */
  readonly othersSeen: Signal<[others: readonly Server[]]>;
  /** Another server says that a run waits for a free slot. */
  readonly readyElsewhere: Signal;
  /** There may be new events of a run that executes in another server. */
  readonly publishedElsewhere: Signal<[run: RunName]>;
  /** A run may be over, or gone, that executes in another server. */
  readonly endedElsewhere: Signal<[run: RunName]>;
  /** A delayed run is stored; its delay ends at the time. */
  readonly due: Signal<[time: Date]>;
  /** This server was declared dead, and has begun anew under another name. */
  readonly newLife: Signal;
}

/** `onError` gets what a listener fails with. */
export function createSignals(onError: (error: unknown) => void): Signals {
  return {
    turnPassed: createSignal(onError),
    slotReturned: createSignal(onError),
    cancelStored: createSignal(onError),
    published: createSignal(onError),
    ended: createSignal(onError),
    slotMissing: createSignal(onError),
    othersSeen: createSignal(onError),
    readyElsewhere: createSignal(onError),
    publishedElsewhere: createSignal(onError),
    endedElsewhere: createSignal(onError),
    due: createSignal(onError),
    newLife: createSignal(onError),
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
