import { createOneByOne } from "../one-by-one.ts";
import type { ThreadOrigin } from "../ports.ts";
import { keyOfRun, type RunName } from "../run/run.ts";
import { keyOfThread, type ThreadName } from "../thread.ts";
import type { CancelAction } from "../transitions.ts";
import { cancelChildren } from "./children.ts";
import type { Command, Decided, ToldEnd } from "./commands.ts";
import type { Decide, Given, Incarnation } from "./decide.ts";
import type { Effect } from "./effects.ts";
import { type Entry, entryOf, isEnded } from "./entry.ts";
import type { LiveRecords } from "./live-records.ts";
import { createPayDebts, type PayDebtsParts, type PayOptions, type RunLeft } from "./pay-debts.ts";
import { projectionOf } from "./project.ts";
import { errorOf } from "./refusals.ts";

/** A command without what every decision of this server says by itself. */
export type Wish = WishOf<Command>;
type WishOf<C> = C extends Command ? Omit<C, "server" | "told"> : never;

/** A decision that was not refused. */
export type Acted = Decided & { readonly origin: ThreadOrigin };

/** A run that executes on that server is to stop. */
export interface StopWish {
  readonly run: RunName;
  readonly server: string;
  readonly action: CancelAction;
  readonly reason: string;
}

export interface ActParts extends PayDebtsParts {
  readonly decide: Decide;
  readonly self: () => Incarnation;
  /** What others are to hear of, each at once and without an answer. */
  readonly tell: {
    readonly stop: (wish: StopWish) => void;
    /** A run may be claimed. */
    readonly offer: () => void;
    readonly due: (time: Date) => void;
  };
  readonly records: LiveRecords;
  /** What nobody waits for has failed; a sweep does it again. */
  readonly failed: (error: unknown) => void;
}

/** Decides about threads, and does what follows. */
export interface Act {
  /**
   * Decides, and does what follows from it. Throws the refusal; undefined when there is no such thread. Resolves when all that
   * the thread owes is done, so that whoever is told of an end reads the same everywhere.
   */
  act(name: ThreadName, wish: Wish, given?: Given): Promise<Acted | undefined>;
  /** The same without what follows, which is the caller's to begin. */
  decide(name: ThreadName, wish: Wish, given?: Given): Promise<Acted | undefined>;
  /** What follows from a decision. Repeatable; what a crash loses is found again in the thread. */
  follow(acted: Acted, left?: RunLeft): Promise<void>;
  /** Does what the thread owes, whoever had to; then the entries leave. */
  payDebts(name: ThreadName): Promise<void>;
}

const keyOfAsked = (run: RunName, action: CancelAction): string => `${keyOfRun(run)} ${action}`;

export function createAct(parts: ActParts): Act {
  const { runs, records, self, tell } = parts;
  /** Ends that are told, and whose entries leave with the thread's next decision. */
  const told = new Map<string, ToldEnd[]>();
  /** Runs that execute here, with what their children were asked for after that was stored: their end need not ask again. */
  const childrenAsked = new Set<string>();
  const payOneByOne = createOneByOne();
  const pay = createPayDebts(parts, {
    async act(name, wish) {
      const acted = await decide(name, wish);
      if (acted) follow(acted).catch(parts.failed);
      return acted;
    },
    async decide(name, wish) {
      const acted = await decide(name, wish);
      if (acted) signals(acted);
      return acted;
    },
    haveChildrenBeenAsked: (run, action) => childrenAsked.delete(keyOfAsked(run, action)),
    remember: (name, end) => void told.set(keyOfThread(name), [...(told.get(keyOfThread(name)) ?? []), end]),
    remembered: (thread, run) =>
      told.get(keyOfThread(thread))?.find((end) => end.run === run && end.journal === thread.journal),
  });

  async function decide(name: ThreadName, wish: Wish, given?: Given): Promise<Acted | undefined> {
    const key = keyOfThread(name);
    const leaving = told.get(key);
    const decision = await parts.decide(name, { ...wish, server: self().id, told: leaving } as Command, given);
    if (decision && "refusal" in decision) throw errorOf(decision.refusal);
    if (leaving) forget(key, leaving, decision);
    return decision;
  }

  /** The entries that the decision has let go are remembered no more; ends that were told while it was made stay. */
  function forget(key: string, left: readonly ToldEnd[], decision: Acted | undefined): void {
    const isThere = ({ journal, run }: ToldEnd) =>
      decision !== undefined && decision.origin.journal === journal && entryOf(decision.control, run) !== undefined;
    const kept = (told.get(key) ?? []).filter((end) => isThere(end) || !left.includes(end));
    if (kept.length > 0) told.set(key, kept);
    else told.delete(key);
  }

  async function act(name: ThreadName, wish: Wish, given?: Given): Promise<Acted | undefined> {
    const acted = await decide(name, wish, given);
    if (acted) await follow(acted);
    return acted;
  }

  /** Who executes hears of a cancel before anything else is done. */
  function signals({ origin: { owner, threadId, journal }, effects, control }: Acted): void {
    for (const effect of effects) signal(effect, { owner, threadId });
    for (const effect of effects) {
      const entry = effect.kind === "project" ? entryOf(control, effect.run) : undefined;
      if (entry) bringUp({ owner, threadId, runId: entry.run }, entry, journal);
    }
  }

  function signal(effect: Effect, name: ThreadName): void {
    if (effect.kind === "stop") {
      const { run, server, action, reason } = effect;
      tell.stop({ run: { ...name, runId: run }, server, action, reason });
    } else if (effect.kind === "offer") tell.offer();
    else if (effect.kind === "wait") tell.due(new Date(effect.due));
  }

  /** The record of a run that is not over. */
  function bringUp(name: RunName, entry: Entry, journal: string): void {
    if (isEnded(entry) || entry.phase === "rolling_back") return;
    records.bringUp(name, projectionOf(entry, journal));
  }

  async function follow(acted: Acted, left?: RunLeft): Promise<void> {
    const { origin, control, effects } = acted;
    const { owner, threadId } = origin;
    signals(acted);
    for (const effect of effects) {
      const entry = effect.kind === "cancelChildren" ? entryOf(control, effect.run) : undefined;
      if (effect.kind !== "cancelChildren" || entry?.phase !== "stopping") continue;
      const run: RunName = { owner, threadId, runId: effect.run };
      await cancelChildren({ runs, act }, run, { action: effect.action, actor: entry.cancel?.actor });
      // Whoever creates one from now on reads its parent's cancel.
      if (entry.lease?.server === self().id) childrenAsked.add(keyOfAsked(run, effect.action));
    }
    const owes = effects.some((effect) => effect.kind === "project" && entryOf(control, effect.run)?.owed);
    if (owes) await payDebts({ owner, threadId }, { seen: { origin, control }, left });
  }

  function payDebts(name: ThreadName, options: PayOptions): Promise<void> {
    return payOneByOne(keyOfThread(name), () => pay(name, options));
  }

  return { act, decide, follow, payDebts: (name) => payDebts(name, { leave: true }) };
}
