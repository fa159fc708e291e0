import type { Nudge } from "../domain/nudge.ts";
import type { NudgeStore } from "../domain/ports.ts";
import { keyOfRun } from "../domain/run/run.ts";

export interface NudgerParts {
  readonly store: Pick<NudgeStore, "add">;
  /** This server's present name. */
  readonly self: () => string;
  /** Another server is written to so often at most; an end goes out sooner, and a cancel at once. */
  readonly everyMs: number;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

/** Tells other servers what to look at. */
export interface Nudger {
  /** Never fails; what cannot be written is lost. */
  send(to: string, nudge: Nudge): void;
  /** Sends nothing any more. */
  stop(): void;
}

/** In one batch. */
export const batchLimit = 64;
/** For one server. The oldest are lost. */
export const pendingLimit = 4096;

interface Outbox {
  /** By what they say, so that nothing is said twice. */
  readonly pending: Map<string, Nudge>;
  timer: NodeJS.Timeout | undefined;
  isUnderWay: boolean;
  sentAt: number;
  /** So long after that the next write is planned. */
  afterMs: number;
}

/** One write to each server is under way at a time; what gathers meanwhile goes with the next. */
export function createNudger({ store, self, everyMs, monotonicMs, onError }: NudgerParts): Nudger {
  const outboxes = new Map<string, Outbox>();
  let stopped = false;

  function plan(to: string, box: Outbox, afterMs: number): void {
    if (box.isUnderWay || stopped) return;
    if (box.timer && afterMs >= box.afterMs) return;
    clearTimeout(box.timer);
    box.afterMs = afterMs;
    box.timer = setTimeout(() => void flush(to, box), Math.max(0, box.sentAt + afterMs - monotonicMs()));
  }

  const afterLastMs = ({ kind }: Nudge): number => (kind === "cancel" ? 0 : kind === "ended" ? everyMs / 5 : everyMs);

  async function flush(to: string, box: Outbox): Promise<void> {
    const batch = [...box.pending].slice(0, batchLimit);
    for (const [key] of batch) box.pending.delete(key);
    box.timer = undefined;
    box.isUnderWay = true;
    box.sentAt = monotonicMs();
    try {
      const isThere = await store.add(
        to,
        batch.map(([, nudge]) => nudge),
      );
      if (!isThere) box.pending.clear();
    } catch (error) {
      onError(error);
    }
    box.isUnderWay = false;
    if (box.pending.size > 0) plan(to, box, Math.min(...[...box.pending.values()].map(afterLastMs)));
  }

  return {
    send(to, nudge) {
      if (to === self() || stopped) return;
      const box = outboxes.get(to) ?? newOutbox();
      outboxes.set(to, box);
      box.pending.set(keyOf(nudge), nudge);
      if (box.pending.size > pendingLimit) box.pending.delete(box.pending.keys().next().value!);
      plan(to, box, afterLastMs(nudge));
    },
    stop() {
      stopped = true;
      for (const box of outboxes.values()) clearTimeout(box.timer);
    },
  };
}

const newOutbox = (): Outbox => ({
  pending: new Map(),
  timer: undefined,
  isUnderWay: false,
  sentAt: Number.NEGATIVE_INFINITY,
  afterMs: 0,
});

const keyOf = (nudge: Nudge): string => (nudge.kind === "ready" ? nudge.kind : `${nudge.kind} ${keyOfRun(nudge.run)}`);
