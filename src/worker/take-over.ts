import { DomainError } from "../domain/errors.ts";
import type { HeldThread } from "../domain/hold-thread.ts";
import { newId } from "../domain/ids.ts";
import { groupsOf, pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes, RunStore, ServerStore, StoredThread, ThreadPage } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { CancelRuns } from "../domain/run/cancel-runs.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Server, StoredWatch } from "../domain/server.ts";
import type { Act, Acted } from "../domain/thread/act.ts";
import type { Release } from "../domain/thread/commands.ts";
import type { Incarnation } from "../domain/thread/decide.ts";
import type { Entry, Holder, Lane } from "../domain/thread/entry.ts";
import { threadOf } from "../domain/thread/view.ts";
import type { RememberedState, Thread, ThreadName } from "../domain/thread.ts";
import type { Removal } from "../domain/threads.ts";
import type { Presence } from "./server-presence.ts";
import type { AttemptResult, Settle } from "./settle.ts";

export interface TakeOverParts {
  readonly lanes: Pick<Lanes, "read" | "headedBy" | "headServers" | "owingBy">;
  readonly runs: Pick<RunStore, "find" | "tombstone">;
  readonly servers: ServerStore;
  readonly act: Pick<Act, "act" | "decide" | "follow" | "payDebts">;
  readonly cancels: Pick<CancelRuns, "cancel">;
  readonly self: () => Incarnation;
  readonly everyMs: number;
  readonly presenceOf: (server: Server) => Presence;
  /** The others that live. */
  readonly othersSeen: (others: readonly Server[]) => void;
  /** Ends what a dead server of this machine has left running. */
  readonly killChildren: (server: Server) => Promise<void>;
  /** Makes late writes of the token impossible; answers the run's last sequence number. */
  readonly fence: (run: RunName, thread: Thread, token: string) => Promise<number>;
  /** The same for the journal alone, for a hold. */
  readonly fenceHold: (thread: Thread, hold: string) => Promise<void>;
  readonly newestCheckpoint: (thread: Thread) => Promise<string | undefined>;
  /** Where the thread stands; null when nothing is left of its runs. */
  readonly readState: (thread: Thread) => Promise<RememberedState | null>;
  readonly settle: Settle;
  readonly removeRun: Removal["removeRun"];
  readonly keepLatest: (thread: Thread, check: () => Promise<void>) => Promise<void>;
  /** Whether an attempt of the run has ended here without an outcome that could be written. */
  readonly wasUnsettled: (run: RunName) => boolean;
  /** The database's time. */
  readonly now: () => Date;
  /** A dead server is kept in mind so long, for a decision of its that comes late. */
  readonly rememberMs: number;
  readonly leaseMs: number;
  /** An engine may read all busy threads to find forgotten servers. */
  readonly forgottenEveryMs: number;
  readonly onError: (error: unknown, what: string) => void;
}

export interface TakeOver {
  /** One round, at once; joins the one that is under way. */
  round(): Promise<void>;
  /** Goes on with a lease or a hold of this server's that nobody here works under. */
  adoptUnknownLease(thread: FoundThread): Promise<void>;
  /**
   * Declares dead who has a lease or a hold and is not among the servers: a decision of theirs came when they had been forgotten. The
   * rounds that follow take over what they have.
   */
  findForgotten(): Promise<void>;
  stop(): Promise<void>;
}

/** Nothing of it was executed, and nobody was told of it. */
const neverStored: AttemptResult = {
  kind: "refused",
  error: { name: "RunNotStoredError", message: "its server died while it was being created" },
};

/** Threads of one look. */
const chunk = 100;
/** Threads that are taken over side by side. */
const atATime = 8;

/**
 * Takes over what dead servers have: what they executed, held or owed, and what their watchers wanted. Dead is whose process is
 * gone, or whose lease is over; the guarded update that says so is what decides, and from then on that server is without power.
 */
export function createTakeOver(parts: TakeOverParts): TakeOver {
  const { lanes, servers, act } = parts;
  /** Tokens of leases and holds that are being taken over right now. */
  const taking = new Set<string>();
  let stopped = false;
  /** When all that a dead server had was taken over, by its id and the database's clock. */
  const doneAt = new Map<string, number>();
  /** When somebody last looked for forgotten servers, by the database's clock. */
  let lookedAt = Number.NEGATIVE_INFINITY;
  const rounds = createRounds(round, { everyMs: parts.everyMs, onError: (error) => parts.onError(error, "a round") });

  async function round(): Promise<void> {
    const others = await servers.others(parts.self().id);
    const lost = others.filter((server) => server.isDead || parts.presenceOf(server) !== "alive");
    parts.othersSeen(others.filter((server) => !lost.includes(server)));
    const known = new Set(lost.map(({ id }) => id));
    for (const id of doneAt.keys()) if (!known.has(id)) doneAt.delete(id);
    for (const server of lost) {
      if (stopped) return;
      // What comes late is looked for once a lease.
      if (server.readAt.getTime() - (doneAt.get(server.id) ?? 0) < parts.leaseMs) continue;
      await takeAll(server, lost).catch((error) => parts.onError(error, `the end of server ${server.id}`));
    }
  }

  async function takeAll(server: Server, lost: readonly Server[]): Promise<void> {
    const isReachable = parts.presenceOf(server) === "dead";
    if (isReachable) await parts.killChildren(server);
    if (!(await servers.declareDead(server))) return;
    // Before the runs are taken over: one that is to be cancelled does not start again.
    const cancelled = await cancelWatched(server, lost);
    const headed = await takeFound((page) => lanes.headedBy(server.id, page), server.id, isReachable);
    const owing = await takeFound((page) => lanes.owingBy(server.id, page), server.id, isReachable);
    if (!cancelled || !headed || !owing) return;
    doneAt.set(server.id, server.readAt.getTime());
    if (server.readAt.getTime() - server.seenAt.getTime() > parts.rememberMs) await servers.forget(server.id);
  }

  /** False when something is left. */
  async function takeFound(
    find: (page: ThreadPage) => Promise<FoundThread[]>,
    dead: string,
    isReachable: boolean,
  ): Promise<boolean> {
    let isAll = true;
    const takeOne = (thread: FoundThread) =>
      take(thread, dead, isReachable).catch((error) => {
        isAll = false;
        parts.onError(error, `taking over ${thread.threadId}`);
      });
    for await (const found of pagesOf(chunk, find)) {
      for (const some of groupsOf(found, atATime)) {
        if (stopped) return false;
        await Promise.all(some.map(takeOne));
      }
    }
    return isAll;
  }

  async function take(name: ThreadName, dead: string, reachable: boolean): Promise<void> {
    const token = newId();
    taking.add(token);
    try {
      const acted = await act.decide(name, { kind: "takeOver", dead, token, reachable });
      if (!acted) return;
      await act.follow(acted);
      if (acted.control.owes?.server === parts.self().id) await act.payDebts(name);
      await goOn(acted, token);
    } finally {
      taking.delete(token);
    }
  }

  /** Fences what was taken over under the token, and brings it to its end. */
  async function goOn(acted: Pick<Acted, "origin" | "control">, token: string): Promise<void> {
    const { lane } = acted.control;
    const entry = lane.entries.find(({ lease }) => lease?.token === token);
    if (entry) await handBack(threadOf(acted), entry, { kind: "lost", runAlone: false });
    else if (lane.holder?.id === token) await completeHold(acted, lane.holder);
  }

  async function handBack(thread: Thread, entry: Entry, result: AttemptResult): Promise<void> {
    const { token, tokensToFence = [token] } = entry.lease!;
    const run: RunName = { owner: thread.owner, threadId: thread.threadId, runId: entry.run };
    const isStored = entry.attempt !== 1 || (await parts.runs.find(run)) !== undefined;
    // It was claimed while it was being created. As long as its record may still come, the next heartbeat finds the lease again.
    if (!isStored && parts.now().getTime() - entry.first! < parts.leaseMs) return;
    let lastSequence = 1;
    for (const one of tokensToFence) lastSequence = await parts.fence(run, thread, one);
    const left = { lastSequence, endCheckpointId: await parts.newestCheckpoint(thread) };
    await parts.settle(run, token, isStored ? result : neverStored, left);
  }

  async function completeHold(stored: StoredThread, holder: Holder): Promise<void> {
    const thread = threadOf(stored);
    for (const id of [...(holder.tokensToFence ?? []), holder.id]) await parts.fenceHold(thread, id);
    let change: Pick<Release, "state" | "last"> | undefined;
    const check = () => confirm(thread, holder.id);
    if (holder.kind === "prune") await parts.keepLatest(thread, check);
    const run = holder.target === undefined ? undefined : await overRun({ ...thread, runId: holder.target });
    if (run) {
      const leave: HeldThread["leave"] = (what) => {
        change = what;
      };
      const { last } = stored.control;
      await parts.removeRun({ thread, last, id: holder.id, check, confirm: check, leave }, run);
    }
    // A deletion may have removed the last checkpoint, an edit may have made one.
    change ??= { state: await parts.readState(thread) };
    await act.act(thread, { kind: "release", id: holder.id, ...change });
  }

  /**
   * A run that is being deleted, also when its record has gone already. In the place of that another try of its creation may have put one
   * by now, which says nothing of it.
   */
  async function overRun(name: RunName): Promise<Run | undefined> {
    const run = await parts.runs.find(name);
    return run?.phase === "over" ? run : parts.runs.tombstone(name);
  }

  async function confirm(name: ThreadName, hold: string): Promise<void> {
    const stored = await lanes.read(name);
    if (stored?.control.lane.holder?.id !== hold) throw new Error(`the hold ${hold} was taken over by another server`);
  }

  async function adoptUnknownLease(found: FoundThread): Promise<void> {
    const stored = await lanes.read(found);
    if (!stored) return;
    const { lane } = stored.control;
    const me = parts.self().id;
    const { entry, token } = hadBy(me, lane);
    // The thread may have got another lease or hold since it was found, under which somebody here works.
    if (token === undefined || token !== hadBy(me, found.lane).token || taking.has(token)) return;
    taking.add(token);
    try {
      if (!entry) await completeHold(stored, lane.holder!);
      else {
        const { owner, threadId } = stored.origin;
        const wasUnsettled = parts.wasUnsettled({ owner, threadId, runId: entry.run });
        await handBack(threadOf(stored), entry, resultOfUnknownLease(entry, wasUnsettled));
      }
    } finally {
      taking.delete(token);
    }
  }

  async function findForgotten(): Promise<void> {
    const now = parts.now();
    if (now.getTime() - lookedAt < parts.forgottenEveryMs) return;
    lookedAt = now.getTime();
    const found = await lanes.headServers();
    // Asked for afterwards, since a server is known before it has anything.
    const me = parts.self().id;
    const known = new Set([me, ...(await servers.others(me)).map(({ id }) => id)]);
    for (const id of found) if (!known.has(id)) await servers.presumeDead(id, now);
  }

  /** False when something is left; it keeps no other run from being cancelled or taken over. */
  async function cancelWatched(server: Server, lost: readonly Server[]): Promise<boolean> {
    let isAll = true;
    for (const watch of await servers.watchesOf(server.id)) {
      await leave(watch, lost).catch((error) => {
        isAll = false;
        parts.onError(error, `cancelling ${watch.runId}`);
      });
    }
    return isAll;
  }

  async function leave(watch: RunName & StoredWatch, lost: readonly Server[]): Promise<void> {
    // The last one who leaves there cancels the run in its name.
    if (watch.ifLast && (await isWatchedElsewhere(watch, lost))) return servers.markLeft(watch.id);
    try {
      await parts.cancels.cancel(watch, { ...disconnected, actor: watch.actor });
    } catch (error) {
      // The run is over or gone: there is nothing to cancel.
      if (!(error instanceof DomainError)) throw error;
    }
    await servers.unwatch(watch.id);
    for (const other of await servers.watchesOfRun(watch)) if (other.left) await servers.unwatch(other.id);
  }

  async function isWatchedElsewhere(run: RunName, lost: readonly Server[]): Promise<boolean> {
    const isLost = (id: string) => lost.some((server) => server.id === id);
    return (await servers.watchesOfRun(run)).some((watch) => !watch.left && !isLost(watch.server));
  }

  return {
    round: rounds.join,
    adoptUnknownLease,
    findForgotten,
    async stop() {
      stopped = true;
      await rounds.stop();
    },
  };
}

/** The lease, or else the hold, that a server has in the thread. */
function hadBy(server: string, { entries, holder }: Lane): { readonly entry?: Entry; readonly token?: string } {
  const entry = entries.find(({ lease }) => lease?.server === server);
  return { entry, token: entry?.lease?.token ?? (holder?.server === server ? holder.id : undefined) };
}

/** Of a run that nobody executes: one that was taken over, or whose outcome could not be written, counts as a lost execution. */
const resultOfUnknownLease = ({ lease }: Entry, wasUnsettled: boolean): AttemptResult =>
  wasUnsettled || lease!.tokensToFence ? { kind: "lost", runAlone: false } : { kind: "displaced", killed: false };

/** What a watcher that leaves asks for. */
export const disconnected = { action: "interrupt", reason: "client disconnected", requestedBy: "disconnect" } as const;
