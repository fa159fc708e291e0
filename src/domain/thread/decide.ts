import type { Lanes, StoredThread, ThreadOrigin } from "../ports.ts";
import { keyOfThread, type ThreadName } from "../thread.ts";
import type { Command, Decided, Reduction, Refusal } from "./commands.ts";
import { newControl, type ThreadControl, type Time } from "./entry.ts";
import type { KeptThreads } from "./kept-threads.ts";
import { answerIn, reduce } from "./lane.ts";
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
  /** Called before anything is decided on another revision than the one seen; throws to give the decision up. */
  readonly ifStillWanted?: () => Promise<void>;
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
  readonly sleep: (ms: number) => Promise<unknown>;
  /** Whether an error means that the database is away, so that nobody knows what became of the write. */
  readonly isTransient: (error: unknown) => boolean;
  /** Before a look at a database that was away, or at a write that may land yet. */
  readonly pause: () => Promise<unknown>;
}

/** Who has asked, and has not been answered. */
interface Asked {
  readonly command: Command;
  readonly given: Given;
  readonly answer: (decision: Decision | undefined) => void;
  readonly refuse: (error: unknown) => void;
}

/** What all who have asked would make of a thread, one after the other. */
interface Round {
  /** Undefined: there is no such thread, and none is born. */
  readonly from: StoredThread | undefined;
  readonly control: ThreadControl | undefined;
  readonly asked: readonly Asked[];
  /** Of each: undefined for who comes before the thread is born, or means one that was there before. */
  readonly reductions: readonly (Reduction | undefined)[];
}

/** A decision that is to be written on the condition that nobody has decided since `from`; on none, the thread is created. */
interface Try {
  readonly from: string | undefined;
  readonly before: ThreadControl | undefined;
  readonly next: StoredThread;
  readonly isUrgent: boolean;
}

type Outcome =
  | { readonly hasLanded: true }
  | { readonly hasLanded: false; readonly stored?: StoredThread; readonly isBarred?: true };

/** So many commands are folded into one decision at most. */
const maxFolded = 64;

export function createDecide(options: DecideOptions): Decide {
  const { lanes, kept, self, now, newRev, random, sleep, isTransient, pause } = options;
  /**
   * By thread: who waits for the decision under way. A server's mark is that of its last decision on the thread, so that the next one
   * begins when the fate of this one is known, and is about all that have come meanwhile.
   */
  const lines = new Map<string, Asked[]>();

  return (name, command, given = {}) => {
    const { promise, resolve: answer, reject: refuse } = Promise.withResolvers<Decision | undefined>();
    const key = keyOfThread(name);
    const asked: Asked = { command, given, answer, refuse };
    const line = lines.get(key);
    if (line) line.push(asked);
    else void decideInLine(key, name, asked);
    return promise;
  };

  async function decideInLine(key: string, name: ThreadName, first: Asked): Promise<void> {
    const line: Asked[] = [];
    lines.set(key, line);
    for (let all = [first]; all.length > 0; ) {
      const answers = await decideAll(name, all);
      all = line.splice(0, maxFolded);
      if (all.length === 0) lines.delete(key);
      for (const answer of answers) answer();
    }
  }

  /** What is to be told; never rejects. */
  async function decideAll(name: ThreadName, all: readonly Asked[]): Promise<readonly (() => void)[]> {
    const life = self();
    // What a life has begun ends with it: its marks do not count any more.
    const isOfLife = ({ command }: Asked) => command.server === life.id && !life.ended.aborted;
    for (const { command, refuse } of all.filter((one) => !isOfLife(one))) refuse(new LifeIsOver(command.server));
    const open = new Set(all.filter(isOfLife));
    try {
      return await decide(name, life, open);
    } catch (error) {
      // Something of one of them may have stopped the others.
      if (open.size === 1 || isTransient(error))
        return [...open].map(
          ({ refuse }) =>
            () =>
              refuse(error),
        );
      const answers: (() => void)[] = [];
      for (const one of open) answers.push(...(await decideAll(name, [one])));
      return answers;
    }
  }

  /** Answers are for those who are still open. */
  async function decide(name: ThreadName, life: Incarnation, open: Set<Asked>): Promise<(() => void)[]> {
    const server = life.id;
    const read = () => {
      if (life.ended.aborted) throw new LifeIsOver(server);
      kept?.mayHaveChanged(name);
      return lanes.read(name);
    };
    const areUrgent = [...open].some(({ command }) => isUrgent(command));
    const last = kept?.get(name);
    if (!last) kept?.mayHaveChanged(name);
    const seen = last ?? [...open].find(({ given }) => given.seen !== undefined)?.given.seen;
    let isSeen = seen !== undefined;
    let stored = isSeen ? (seen ?? undefined) : await read();
    if (!isSeen && stored && !areUrgent && isContended(stored.control, server, now())) {
      await sleep(1 + Math.floor(random() * 30));
      stored = await read();
    }
    for (let misses = 0; ; ) {
      await dropUnwanted(open, isSeen ? { rev: stored?.control.rev } : undefined);
      if (open.size === 0) return [];
      const at = now();
      const round = reduceAll(stored, open, at);
      const { from, control: reduced } = round;
      const isChange = from !== undefined && reduced !== from.control;
      // What is written proves that what was seen was still there, also for those whose answer is no change.
      if (isSeen && !isChange) {
        isSeen = false;
        stored = await read();
        continue;
      }
      if (!isChange) return answersOf(round, reduced);
      isSeen = false;
      const rev = newRev();
      const control = marked(withNamedState(reduced!, from.control, rev), { server, rev, at });
      const before = stored?.control;
      const next: StoredThread = { origin: from.origin, control };
      kept?.put(name, undefined);
      // Who has missed others does not wait for those of other threads, either.
      const attempted: Try = { from: before?.rev, before, next, isUrgent: areUrgent || misses > 0 };
      const outcome = await write(attempted, life, read);
      if (outcome.hasLanded) {
        const asRead = control.state?.apart ? { ...control, state: besideThread(control.state) } : control;
        if (before) kept?.put(name, { origin: from.origin, control: asRead });
        else kept?.born({ origin: from.origin, control: asRead });
        if (!round.asked.every(({ command }) => leavesJournal(command))) kept?.mayHaveChanged(name);
        return answersOf(round, asRead);
      }
      if (outcome.isBarred)
        return [...open].map(
          ({ answer }) =>
            () =>
              answer(undefined),
        );
      misses += 1;
      stored = outcome.stored;
    }
  }

  /** `seen`: what the decision rests on without a look. Who has seen the same knows that nobody has decided since. */
  async function dropUnwanted(open: Set<Asked>, seen: { readonly rev: string | undefined } | undefined): Promise<void> {
    for (const one of open) {
      if (seen && one.given.seen !== undefined && one.given.seen?.control.rev === seen.rev) continue;
      try {
        await one.given.ifStillWanted?.();
      } catch (error) {
        open.delete(one);
        one.refuse(error);
      }
    }
  }

  function answersOf({ from, reductions, asked }: Round, control: ThreadControl | undefined) {
    return asked.map((one, place) => {
      const reduction = reductions[place];
      const decision = reduction && decided(reduction, from!.origin, control!);
      return () => one.answer(decision);
    });
  }

  function reduceAll(stored: StoredThread | undefined, open: ReadonlySet<Asked>, at: Time): Round {
    let from = stored;
    let control = stored?.control;
    const asked = [...open];
    const reductions = asked.map(({ command, given: { born } }) => {
      from ??= born && unborn(born);
      control ??= from?.control;
      const meant = from && aboutThread(command, from.origin);
      const reduction = meant && reduce(control!, meant, at);
      if (reduction && !("refusal" in reduction)) control = reduction.control;
      return reduction;
    });
    return { asked, from, control, reductions };
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
    attempted: Try,
    life: Incarnation,
    read: () => Promise<StoredThread | undefined>,
  ): Promise<Outcome> {
    const { from, next } = attempted;
    for (;;) {
      let failure: { readonly error: unknown } | undefined;
      try {
        if (await send(attempted)) return { hasLanded: true };
      } catch (error) {
        failure = { error };
      }
      const stored = await read();
      // The insert missed and nothing is there: this very thread was there before, and was removed.
      if (!stored && from === undefined && !failure) return { hasLanded: false, isBarred: true };
      const fate = fateAmong(stored, life.id, from, next.control.rev);
      if (fate === "landed") return { hasLanded: true };
      if (fate === "missed") return { hasLanded: false, stored };
      if (failure && !isTransient(failure.error)) throw failure.error;
      await pause();
      // Before it is sent again.
      if (life.ended.aborted) throw new LifeIsOver(life.id);
    }
  }

  function send({ from, next, before, isUrgent }: Try): Promise<boolean> {
    if (from === undefined) return lanes.insert(next);
    return lanes.write(next.origin, from, next.control, { before, isUrgent });
  }

  function fateAmong(stored: StoredThread | undefined, server: string, from: string | undefined, tried: string) {
    // A thread that is gone takes no write any more; one that is not there yet may.
    if (!stored) return from === undefined ? "open" : "missed";
    return fateOf(stored.control, server, from ?? "", tried);
  }
}

/** The command as far as it is about this very thread; undefined when it means another one with the same id. */
function aboutThread(command: Command, { journal }: ThreadOrigin): Command | undefined {
  const isMeant = (one: { readonly journal?: string }) => one.journal === undefined || one.journal === journal;
  if ((command.kind === "projected" || command.kind === "finishRollback") && !isMeant(command)) return undefined;
  return command.told ? { ...command, told: command.told.filter(isMeant) } : command;
}

/** What one of those is told whose decisions were written as one: entries are as they are after the whole. */
function decided(reduction: Reduction, origin: ThreadOrigin, control: ThreadControl): Decision {
  if ("refusal" in reduction) return { ...reduction, origin };
  return { ...reduction, answer: answerIn(control, reduction.answer), control, origin };
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

/** Only attempts write to the thread's journal because of it. */
function leavesJournal({ kind }: Command): boolean {
  return attemptsOnly.has(kind);
}

const attemptsOnly: ReadonlySet<Command["kind"]> = new Set([
  ...(["enter", "claim", "requestCancel", "delivered", "settle", "handBack"] as const),
  ...(["confirm", "due", "projected"] as const),
]);

/** A cancel does not wait for others to be done with the thread. */
function isUrgent(command: Command): boolean {
  if (command.kind === "enter") return command.strategy === "interrupt" || command.strategy === "rollback";
  return command.kind === "requestCancel";
}
