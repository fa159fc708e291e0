import type { HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import { OnDisconnect } from "../../gen/reins/v1/run_pb.ts";
import { DomainError } from "../domain/errors.ts";
import { newId } from "../domain/ids.ts";
import type { RunName } from "../domain/run.ts";
import type { Calls } from "./calls.ts";

export interface WatcherParts {
  readonly calls: Pick<Calls, "onClientGone">;
  /** Kept until the caller has got its end: the death of this server counts as the caller's leaving. */
  readonly store: (id: string, run: RunName) => Promise<void>;
  readonly forget: (id: string) => Promise<void>;
  /** Cancels the run because its watcher left. */
  readonly cancel: (run: RunName) => Promise<void>;
  /** Whether it is worth trying again. */
  readonly isPassing: (error: unknown) => boolean;
  readonly pause: () => Promise<void>;
  readonly log: Logger;
}

/** A caller that waits for a run or reads its events. */
export interface Watcher {
  /** Must be called when the run is known to exist: a caller that has left by then leaves now. */
  runExists(): void;
  /** Must be called when the handler settles. */
  close(): void;
}

/** Opens watchers; see Watcher. With CONTINUE nothing happens when the caller leaves. */
export type OpenWatcher = (context: HandlerContext, run: RunName, onDisconnect: OnDisconnect) => Promise<Watcher>;

export interface Watchers {
  readonly open: OpenWatcher;
  /** Resolves when what closed watchers had to do is done: before that the database is still needed. */
  settled(): Promise<void>;
}

export function createWatchers(parts: WatcherParts): Watchers {
  const pending = new Set<Promise<void>>();

  /** Does it while the handler goes on. Never rejects. */
  function begin(work: Promise<void>): void {
    pending.add(work);
    void work.finally(() => pending.delete(work));
  }

  async function keepTrying(what: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if (!parts.isPassing(error)) throw error;
        await parts.pause();
      }
    }
  }

  async function leave(id: string, run: RunName): Promise<void> {
    try {
      await keepTrying(() => parts.cancel(run));
    } catch (error) {
      // Over or gone already: there is nothing left to cancel.
      if (!(error instanceof DomainError)) {
        parts.log.error({ err: error, run_id: run.runId }, "a left run is not cancelled; its watch is kept");
        return;
      }
    }
    await forget(id);
  }

  const forget = (id: string) =>
    keepTrying(() => parts.forget(id)).catch((err) => parts.log.error({ err }, "a watch is not removed"));

  const open: OpenWatcher = async (context, run, onDisconnect) => {
    if (onDisconnect !== OnDisconnect.CANCEL) return { runExists() {}, close() {} };
    const id = newId();
    let exists = false;
    let gone = false;
    const stopListening = parts.calls.onClientGone(context, () => {
      gone = true;
      if (exists) begin(leave(id, run));
    });
    try {
      await parts.store(id, run);
    } catch (error) {
      stopListening();
      // It may be stored all the same.
      begin(forget(id));
      throw error;
    }
    return {
      runExists() {
        exists = true;
        if (gone) begin(leave(id, run));
      },
      close() {
        stopListening();
        if (!gone || !exists) begin(forget(id));
      },
    };
  };

  return {
    open,
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
