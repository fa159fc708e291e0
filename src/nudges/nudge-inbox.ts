import type { Nudge, StoredNudges } from "../domain/nudge.ts";
import type { NudgeStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";

export interface NudgeInboxParts {
  readonly store: Pick<NudgeStore, "open" | "read" | "watch">;
  /** This server's present name. */
  readonly self: () => string;
  readonly received: (nudges: readonly Nudge[]) => void;
  /** Nudges may have been lost: all that they could say is to be looked at. */
  readonly missed: () => void;
  /** Somebody may be in need of an answer soon. */
  readonly isBusy: () => boolean;
  /** How often to look where nothing can be watched: while there is reason to, and otherwise. */
  readonly fastMs: number;
  readonly slowMs: number;
  /** When to try to watch again. */
  readonly rewatchMs: number;
  readonly cannotWatch: (error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/** What other servers tell this one. */
export interface NudgeInbox {
  /** There are other servers. Repeatable. */
  open(): void;
  /** There are none, so that nothing needs to be read. */
  close(): void;
  /** This server has another name. */
  renew(): void;
  /** Reads nothing any more. */
  stop(): Promise<void>;
}

/** Watches this server's nudges, and polls them where they cannot be watched. */
export function createNudgeInbox(parts: NudgeInboxParts): NudgeInbox {
  const { store, self } = parts;
  let closing: AbortController | undefined;
  /** Batches that have been read; undefined until the first look. */
  let seen: number | undefined;
  let stopped = false;
  const rounds = createRounds(read, { onError: parts.onError });

  async function read(): Promise<void> {
    const server = self();
    const found = await store.read(server);
    // These are the nudges for this server's former life; the present one's are read next.
    if (server !== self()) return;
    if (!found) {
      await store.open(server);
      seen = 0;
      return parts.missed();
    }
    take(found);
  }

  function take({ count, batches }: StoredNudges): void {
    const before = seen;
    if (before !== undefined && count < before) return;
    seen = count;
    // Whether anybody has acted on what was told before the first look is not known: all of it is looked at.
    if (before === undefined) {
      parts.missed();
      return;
    }
    const fresh = count - before;
    if (fresh > batches.length) parts.missed();
    const nudges = fresh === 0 ? [] : batches.slice(-fresh).flat();
    if (nudges.length > 0) parts.received(nudges);
  }

  async function watch(signal: AbortSignal): Promise<void> {
    let isWatching = false;
    let readAt = Number.NEGATIVE_INFINITY;
    const server = self();
    const told = (nudges?: StoredNudges) => {
      isWatching = true;
      if (nudges && seen !== undefined && server === self() && !signal.aborted) take(nudges);
      else rounds.wake();
    };
    const poll = setInterval(() => {
      if (isWatching || performance.now() - readAt < (parts.isBusy() ? 0 : parts.slowMs)) return;
      readAt = performance.now();
      rounds.wake();
    }, parts.fastMs);
    signal.addEventListener("abort", () => clearInterval(poll), { once: true });
    while (!signal.aborted) {
      await store.watch(server, told, signal).catch(parts.cannotWatch);
      isWatching = false;
      if (!signal.aborted) await pause(parts.rewatchMs);
    }
  }

  function close(): void {
    closing?.abort();
    closing = undefined;
  }

  function open(): void {
    if (closing || stopped) return;
    closing = new AbortController();
    rounds.wake();
    void watch(closing.signal);
  }

  return {
    open,
    close,
    renew() {
      seen = undefined;
      if (!closing) return;
      close();
      open();
    },
    async stop() {
      stopped = true;
      close();
      await rounds.stop();
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());
