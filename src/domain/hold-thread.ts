import { newId } from "./ids.ts";
import { threadNotFound } from "./not-found.ts";
import type { Lanes } from "./ports.ts";
import type { Act, Acted } from "./thread/act.ts";
import type { Release } from "./thread/commands.ts";
import type { HolderKind, LastOutcome } from "./thread/entry.ts";
import { errorOf, holdIsLost } from "./thread/refusals.ts";
import { threadOf } from "./thread/view.ts";
import type { Thread, ThreadName } from "./thread.ts";

export interface HoldThreadParts {
  readonly act: Pick<Act, "decide" | "act">;
  readonly lanes: Pick<Lanes, "read">;
  /** The holds that somebody in this server works under. */
  readonly holds: Set<string>;
  /** Whether this server's lease, and with it every hold of it, is held for sure, by the clock alone. */
  readonly isAlive: () => boolean;
  /** Whether an error means that the database is away for the moment. */
  readonly isTransient: (error: unknown) => boolean;
}

/** A thread on which no run is live, and none begins. */
export interface HeldThread {
  readonly thread: Thread;
  /** What the thread returns to. */
  readonly last: LastOutcome | undefined;
  /** Names the hold: the token of what is written under it. */
  readonly id: string;
  /** To be called before each write: throws THREAD_BUSY when the hold may have been lost while this server slept. */
  check(): Promise<void>;
  /** Throws THREAD_BUSY unless the thread has been held without a break until now, THREAD_NOT_FOUND when it is being removed. */
  confirm(): Promise<void>;
  /** The end of the hold is to change this of the thread. */
  leave(change: Pick<Release, "state" | "last">): void;
}

interface HoldOptions {
  readonly kind: HolderKind;
  /** What is to be removed: whoever takes the hold over completes it. */
  readonly target?: string;
}

/**
 * Does something with a thread that must not meet a run. The hold lasts as long as this server's lease, however long it takes,
 * and ends in any case; when the server dies, whoever takes its threads over completes or drops it. So does this server's
 * heartbeat, when the work ends half-way since the database is away: what the thread remembers must be what was done. THREAD_NOT_FOUND;
 * THREAD_BUSY with the run that is live.
 */
export type HoldThread = <T>(
  name: ThreadName,
  options: HoldOptions,
  work: (held: HeldThread) => Promise<T>,
) => Promise<T>;

export function createHoldThread({ act, lanes, holds, isAlive, isTransient }: HoldThreadParts): HoldThread {
  return async (name, { kind, target }, work) => {
    const id = newId();
    holds.add(id);
    try {
      const acted = await act.decide(name, { kind: "hold", id, what: kind, target });
      if (!acted) throw threadNotFound(name.threadId);
      return await underHold(name, id, acted, work);
    } finally {
      holds.delete(id);
    }
  };

  async function underHold<T>(
    name: ThreadName,
    id: string,
    acted: Acted,
    work: (held: HeldThread) => Promise<T>,
  ): Promise<T> {
    let change: Pick<Release, "state" | "last"> = {};
    const confirm = async () => {
      // The name of a hold is never used again: when it is not the holder's any more, the hold was lost.
      const stored = await lanes.read(name);
      if (stored?.control.lane.holder?.id !== id) throw errorOf(holdIsLost(name.threadId));
      // A removal waits for nobody: half of what was read under the hold may have been gone.
      if (stored.control.removing) throw threadNotFound(name.threadId);
    };
    const check = async () => {
      if (!isAlive()) await confirm();
    };
    const leave: HeldThread["leave"] = (what) => {
      change = what;
    };
    const { last } = acted.control;
    const held: HeldThread = { thread: threadOf(acted), last, id, check, confirm, leave };
    const release = () => act.act(name, { kind: "release", id, ...change });
    let done: T;
    try {
      done = await work(held);
    } catch (error) {
      if (!isTransient(error)) await release();
      throw error;
    }
    await release();
    return done;
  }
}
