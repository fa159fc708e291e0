import type { HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import { OnDisconnect } from "../../gen/reins/v1/run_pb.ts";
import { identityOf } from "../access/identity.ts";
import { DomainError } from "../domain/errors.ts";
import { newId } from "../domain/ids.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import { keyOfRun, type RunName } from "../domain/run/run.ts";
import type { Calls } from "./calls.ts";
import { type CountedWatcher, createWatcherCount } from "./watcher-count.ts";

export interface WatcherParts {
  readonly calls: Pick<Calls, "onClientGone">;
  /** Kept until the caller has got its end: the death of this server counts as the caller's leaving. */
  readonly store: (id: string, run: RunName, ifLast: boolean, actor: string) => Promise<void>;
  readonly forget: (id: string) => Promise<void>;
  /** The same for one of which nobody knows whether it is stored, or will be. */
  readonly bar: (id: string) => Promise<void>;
  /** Its caller has left, and its wish to cancel stays for when the last one leaves. */
  readonly markLeft: (id: string) => Promise<void>;
  /** What is stored for the run: wishes that were left, and whether other servers have callers that may cancel it. */
  readonly stored: (run: RunName) => Promise<{ readonly left: readonly string[]; readonly elsewhere: boolean }>;
  /** Cancels the run because this one left, who watched it. */
  readonly cancel: (run: RunName, actor: string) => Promise<void>;
  /** Whether it is worth trying again. */
  readonly isTransient: (error: unknown) => boolean;
  /** The server is ending calls that nobody has left. */
  readonly isEnding: () => boolean;
  readonly pause: () => Promise<void>;
  /** So long after a look that has left a run to other servers' callers there is another one. */
  readonly lookAgainMs: number;
  readonly log: Logger;
}

/** A caller that waits for a run or reads its events. */
export interface Watcher {
  /** Must be called when the run is known to exist: a caller that has left by then leaves now. */
  runExists(): void;
  /** Must be called when the handler settles. */
  close(): void;
}

/**
 * Opens watchers; see Watcher. With CANCEL the run is cancelled when the caller leaves; with CANCEL_IF_LAST when it leaves and
 * nobody is left, or as soon as the last of the others has departed in whatever way.
 */
export type OpenWatcher = (context: HandlerContext, run: RunName, onDisconnect: OnDisconnect) => Promise<Watcher>;

export interface Watchers {
  readonly open: OpenWatcher;
  /**
   * Others have declared this server dead, and dealt with its watches as with those of callers who have left: whoever is still
   * there is stored anew.
   */
  storeAnew(): void;
  /** Resolves when what closed watchers had to do is done: before that the database is still needed. */
  settled(): Promise<void>;
}

export function createWatchers(parts: WatcherParts): Watchers {
  const pending = new Set<Promise<void>>();
  const counts = createWatcherCount();
  /** Watches that are being marked as left, by their ids. */
  const marking = new Map<string, Promise<void>>();
  /** Runs that are looked at again. */
  const lookedAtAgain = new Set<string>();
  /** Of the callers that are stored: stores one anew. */
  const renewals = new Set<() => Promise<void>>();

  /** Does it while the handler goes on. Never rejects. */
  function begin(work: Promise<void>): void {
    pending.add(work);
    void work.finally(() => pending.delete(work));
  }

  /** Cancels the run for the sake of these watches, which are then of no more use. */
  async function leave(ids: readonly string[], run: RunName, actor: string): Promise<void> {
    try {
      await keepTrying(() => parts.cancel(run, actor), parts);
    } catch (error) {
      // Over or gone already: there is nothing left to cancel.
      if (!(error instanceof DomainError)) {
        parts.log.error({ err: error, run_id: run.runId }, "a left run is not cancelled; its watch is kept");
        return;
      }
    }
    await forget(ids);
  }

  async function forget(ids: readonly string[], how = parts.forget): Promise<void> {
    for (const id of ids) {
      await keepTrying(() => how(id), parts).catch((err) => parts.log.error({ err }, "a watch is not removed"));
    }
  }

  /**
   * Nobody in this server watches the run any more: does what those who left with CANCEL_IF_LAST wanted. What this server's
   * own watches have become is stored by then, so that of two servers whose last callers leave at once one sees it.
   */
  async function lastDeparted(run: RunName, leftHere: readonly string[], actor: string): Promise<void> {
    try {
      await Promise.all(leftHere.map((id) => marking.get(id)));
      const stored = await keepTrying(() => parts.stored(run), parts);
      const left = [...new Set([...leftHere, ...stored.left])];
      if (left.length === 0) return;
      if (stored.elsewhere) return lookAgain(run, actor);
      // Somebody has come meanwhile, and inherits the wish.
      if (counts.inherit(run, left)) return;
      await leave(left, run, actor);
    } catch (err) {
      parts.log.error({ err, run_id: run.runId }, "a run that may be left is not looked at; its watches are kept");
    }
  }

  /** Its last caller elsewhere does what was left, unless the server that it is connected to dies over it. */
  function lookAgain(run: RunName, actor: string): void {
    const key = keyOfRun(run);
    if (lookedAtAgain.has(key)) return;
    lookedAtAgain.add(key);
    const look = () => {
      lookedAtAgain.delete(key);
      if (!parts.isEnding()) begin(lastDeparted(run, [], actor));
    };
    setTimeout(look, parts.lookAgainMs).unref();
  }

  async function depart(
    id: string,
    counted: CountedWatcher,
    { run, actor }: { run: RunName; actor: string },
    how: OnDisconnect | "closed" | "doubtful",
  ): Promise<void> {
    const isLeftBehind = how === OnDisconnect.CANCEL_IF_LAST;
    // At once, so that of several who go at the same time one is the last.
    const last = counted.depart(isLeftBehind ? id : undefined);
    if (how === OnDisconnect.CANCEL) {
      await leave([id, ...(last?.left ?? [])], run, actor);
      // Whoever has left other servers wanted the same.
      return lastDeparted(run, [], actor);
    }
    if (isLeftBehind) {
      const marked = keepTrying(() => parts.markLeft(id), parts).catch((err) =>
        parts.log.error({ err, run_id: run.runId }, "a watch is not marked as left"),
      );
      marking.set(id, marked);
      await marked;
      marking.delete(id);
    } else if (counted.isStored) {
      await forget([id], how === "doubtful" ? parts.bar : parts.forget);
    }
    if (!last) return;
    if (parts.isEnding() && (how === "closed" || how === "doubtful")) return forget(last.left);
    if (last.wereStored) await lastDeparted(run, last.left, actor);
  }

  const open: OpenWatcher = async (context, run, onDisconnect) => {
    let id = newId();
    const { actor } = identityOf(context);
    const ifLast = onDisconnect === OnDisconnect.CANCEL_IF_LAST;
    const isStored = ifLast || onDisconnect === OnDisconnect.CANCEL;
    const counted = counts.attach(run, isStored);
    let exists = false;
    let gone = false;
    let departed = false;
    function go(how: OnDisconnect | "closed" | "doubtful"): void {
      if (departed) return;
      departed = true;
      renewals.delete(renew);
      begin(depart(id, counted, { run, actor }, how));
    }
    async function storeAnew(): Promise<string> {
      const anew = newId();
      try {
        await parts.store(anew, run, ifLast, actor);
        return anew;
      } catch (error) {
        // It may come yet.
        await forget([anew], parts.bar);
        throw error;
      }
    }
    async function renew(): Promise<void> {
      const old = id;
      let anew: string;
      try {
        anew = await keepTrying(storeAnew, parts);
      } catch (err) {
        return parts.log.error({ err, run_id: run.runId }, "a caller is not known to other servers any more");
      }
      // Whoever has left meanwhile did so under the old name.
      if (departed) return forget([anew]);
      id = anew;
      await forget([old]);
    }
    const stopListening = parts.calls.onClientGone(context, () => {
      gone = true;
      if (exists) go(onDisconnect);
    });
    try {
      if (isStored) await parts.store(id, run, ifLast, actor);
    } catch (error) {
      stopListening();
      // It may be stored all the same, or come yet.
      go("doubtful");
      throw error;
    }
    if (isStored && !departed) renewals.add(renew);
    return {
      runExists() {
        exists = true;
        if (gone) go(onDisconnect);
      },
      close() {
        stopListening();
        go("closed");
      },
    };
  };

  return {
    open,
    storeAnew() {
      for (const renew of renewals) begin(renew());
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
