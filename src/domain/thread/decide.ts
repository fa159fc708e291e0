import { createOneByOne } from "../one-by-one.ts";
import type { Lanes, StoredThread, ThreadOrigin } from "../ports.ts";
import { keyOfThread, type ThreadName } from "../thread.ts";
import type { Command, Decided, Refusal } from "./commands.ts";
import { newControl, type ThreadControl, type Time } from "./entry.ts";
import type { KeptThreads } from "./kept-threads.ts";
import { reduce } from "./lane.ts";
import { besideThread, named } from "./large-state.ts";
import { fateOf, isContended, marked } from "./marks.ts";

/**
 * Decides about a thread, exactly once however often a write must be sent: the only writer of a thread's control. Undefined
 * when there is no such thread and none was `born`.
 *
 * It rejects when the database is away, and then the decision may land yet; whoever asks again is answered as if it had asked
 * once, since every command is known by a sign of its own. It rejects as well with an error of the database that does not pass,
 * unless the decision has landed all the same.
 */
export type Decide = (name: ThreadName, command: Command, given?: Given) => Promise<Decision | undefined>;

export interface Given {
  /**
   * A thread that does not exist is created by this decision, in the same write. Whether it was this one that has created it
   * is known by the journal of the answered origin.
   */
  readonly born?: NewThread;
  /**
   * The thread as it was read before; null when it was not there. A decision that is written may rest on it, since the write is
   * guarded; what changes nothing, or is refused, is decided on a fresh look.
   */
  readonly seen?: StoredThread | null;
  /** Called whenever the thread had to be read again, before anything is decided on what was read; throws to give the decision up. */
  readonly ifStillWanted?: () => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface NewThread {
  readonly origin: ThreadOrigin;
  readonly kept: Pick<ThreadControl, "metadata" | "ttlMs" | "watchedBy">;
}

export type Decision = (Decided | { readonly refusal: Refusal }) & { readonly origin: ThreadOrigin };

export interface DecideOptions {
  /** What has been written is kept for the next decision; nothing is by default. */
  readonly kept?: KeptThreads;
  readonly lanes: Pick<Lanes, "read" | "insert" | "write">;
  /** This server's present life. Its mark tells which of its writes have landed, so that no other may use its name. */
  readonly self: () => Incarnation;
  /** The database's time. */
  readonly now: () => Time;
  /** Makes a name that was never there before. */
  readonly newRev: () => string;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  /** Whether an error means that the database is away, so that nobody knows what became of the write. */
  readonly isTransient: (error: unknown) => boolean;
  /** Before a look at a database that was away, or at a write that may land yet. */
  readonly pause: (signal?: AbortSignal) => Promise<unknown>;
}

/** A decision that is to be written on the condition that nobody has decided since `from`; on none, the thread is created. */
interface Try {
  readonly from: string | undefined;
  readonly before: ThreadControl | undefined;
  readonly next: StoredThread;
}

export function createDecide(options: DecideOptions): Decide {
  const { lanes, kept, self, now, newRev, random, sleep, isTransient, pause } = options;
  // A server's mark is that of its last decision on the thread: the next one waits until the fate of this one is known.
  const oneByOne = createOneByOne();

  return (name, command, given = {}) => {
    return oneByOne(keyOfThread(name), () => decide(name, command, given), given.signal);
  };

  async function decide(name: ThreadName, command: Command, given: Given): Promise<Decision | undefined> {
    const { born, signal } = given;
    const life = self();
    const server = life.id;
    // What a life has begun ends with it: its marks do not count any more.
    if (command.server !== server || life.ended.aborted) throw new LifeIsOver(command.server);
    const read = () => {
      if (life.ended.aborted) throw new LifeIsOver(server);
      return lanes.read(name);
    };
    const seen = given.seen === undefined ? kept?.get(name) : given.seen;
    let isSeen = seen !== undefined;
    let stored = isSeen ? (seen ?? undefined) : await read();
    if (!isSeen && stored && !isUrgent(command) && isContended(stored.control, server, now())) {
      await sleep(1 + Math.floor(random() * 30), signal);
      stored = await read();
    }
    for (;;) {
      const from = stored ?? (born && unborn(born));
      if (!from) return undefined;
      if (!isSeen) await given.ifStillWanted?.();
      const at = now();
      const reduction = reduce(from.control, command, at);
      const { origin } = from;
      if ("refusal" in reduction || (stored && reduction.control === stored.control)) {
        if (!isSeen) return { ...reduction, origin };
        isSeen = false;
        stored = await read();
        continue;
      }
      isSeen = false;
      const rev = newRev();
      const control = marked(withNamedState(reduction.control, from.control, rev), { server, rev, at });
      const decided: Decided = { ...reduction, control };
      const attempted: Try = { from: stored?.control.rev, before: stored?.control, next: { origin, control } };
      kept?.put(name, undefined);
      const outcome = await write(attempted, server, read, signal);
      if (outcome.hasLanded) {
        const asRead = control.state?.apart ? { ...control, state: besideThread(control.state) } : control;
        kept?.put(name, { origin, control: asRead });
        return { ...decided, control: asRead, origin };
      }
      if (outcome.isBarred) return undefined;
      stored = outcome.stored;
    }
  }

  /** What the first decision is made on; it is never stored like that. */
  function unborn({ origin, kept }: NewThread): StoredThread {
    return { origin, control: newControl({ threadId: origin.threadId, rev: "", ...kept }, origin.createdAt) };
  }

  /**
   * Until it has landed, or never can. What may land yet is sent once more as it is: whichever copy comes first makes the
   * others miss, so that the answer is the same. What is stored after a miss is answered, to decide anew on.
   */
  async function write(
    { from, before, next }: Try,
    server: string,
    read: () => Promise<StoredThread | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<
    | { readonly hasLanded: true }
    | { readonly hasLanded: false; readonly stored?: StoredThread; readonly isBarred?: true }
  > {
    for (;;) {
      let failure: { readonly error: unknown } | undefined;
      try {
        if (await send(from, next, before)) return { hasLanded: true };
      } catch (error) {
        failure = { error };
      }
      const stored = await read();
      // The insert missed and nothing is there: this very thread was there before, and was removed.
      if (!stored && from === undefined && !failure) return { hasLanded: false, isBarred: true };
      const fate = fateAmong(stored, server, from, next.control.rev);
      if (fate === "landed") return { hasLanded: true };
      if (fate === "missed") return { hasLanded: false, stored };
      if (failure && !isTransient(failure.error)) throw failure.error;
      if (signal?.aborted) throw failure ? failure.error : signal.reason;
      await pause(signal);
    }
  }

  function send(from: string | undefined, next: StoredThread, before?: ThreadControl): Promise<boolean> {
    return from === undefined ? lanes.insert(next) : lanes.write(next.origin, from, next.control, before);
  }

  function fateAmong(stored: StoredThread | undefined, server: string, from: string | undefined, tried: string) {
    // A thread that is gone takes no write any more; one that is not there yet may.
    if (!stored) return from === undefined ? "open" : "missed";
    return fateOf(stored.control, server, from ?? "", tried);
  }
}

/** A state that the decision brings, and that is too large, gets its name from it. */
function withNamedState(after: ThreadControl, { state: before }: ThreadControl, rev: string): ThreadControl {
  return after.state && after.state !== before ? { ...after, state: named(after.state, rev) } : after;
}

/** One life of a server, from its first heartbeat until it ends or is declared dead. */
export interface Incarnation {
  readonly id: string;
  /** Aborted when it has been declared dead: nothing that it has begun counts any more. */
  readonly ended: AbortSignal;
}

/** A decision of a life that is over. It may have landed; whoever must know looks. */
export class LifeIsOver extends Error {
  constructor(server: string) {
    super(`server ${server} has been declared dead`);
    this.name = "LifeIsOver";
  }
}

/** A cancel does not wait for others to be done with the thread. */
function isUrgent(command: Command): boolean {
  if (command.kind === "enter") return command.strategy === "interrupt" || command.strategy === "rollback";
  return command.kind === "requestCancel";
}
