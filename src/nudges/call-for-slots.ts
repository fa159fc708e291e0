import type { Nudge } from "../domain/nudge.ts";
import type { Server } from "../domain/server.ts";

export interface CallForSlotsParts {
  readonly others: () => readonly Pick<Server, "id" | "freeSlots">[];
  readonly send: (to: string, nudge: Nudge) => void;
  /** How long after a call the next one goes out: to a server that said that it had free slots, and to one that had none. */
  readonly everyMs: number;
  readonly inVainEveryMs: number;
  readonly monotonicMs: () => number;
}

/**
 * Runs wait here for a free slot: tells a server that had some at its last heartbeat, each in its turn; when none had any, one of
 * them now and then, since it may have got some.
 */
export function createCallForSlots(parts: CallForSlotsParts): () => void {
  const { others, send, everyMs, inVainEveryMs, monotonicMs } = parts;
  /** The one called last stands last. */
  let called: readonly string[] = [];
  let nextAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function call(): void {
    timer = undefined;
    const all = others().toSorted((a, b) => called.indexOf(a.id) - called.indexOf(b.id));
    const next = all.find(({ freeSlots }) => freeSlots > 0) ?? all[0];
    if (!next) return;
    called = [...called.filter((id) => id !== next.id && all.some((one) => one.id === id)), next.id];
    nextAt = monotonicMs() + (next.freeSlots > 0 ? everyMs : inVainEveryMs);
    send(next.id, { kind: "ready" });
  }

  return () => {
    if (timer || others().length === 0) return;
    timer = setTimeout(call, Math.max(0, nextAt - monotonicMs())).unref();
  };
}
