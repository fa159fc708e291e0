import type { CancelRuns } from "../domain/cancel-runs.ts";
import { DomainError } from "../domain/errors.ts";
import type { FinishRun } from "../domain/finish-run.ts";
import { newId } from "../domain/ids.ts";
import type { LeaseStore, RunStore, ServerStore, ThreadStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Run, RunName } from "../domain/run.ts";
import type { Server } from "../domain/server.ts";
import type { Supersede } from "../domain/supersede.ts";
import { isRun, type RememberedState, type Thread } from "../domain/thread.ts";
import type { Executing } from "./executing.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { Presence } from "./server-presence.ts";
import type { AttemptResult } from "./settle.ts";

export interface SweepParts {
  readonly runs: RunStore;
  readonly leases: LeaseStore;
  readonly threads: ThreadStore;
  readonly servers: ServerStore;
  readonly finish: FinishRun;
  readonly cancels: CancelRuns;
  readonly supersede: Pick<Supersede, "redo">;
  readonly executing: Pick<Executing, "knows">;
  readonly clock: Pick<LeaseClock, "now" | "leaseEnd">;
  readonly server: string;
  readonly leaseMs: number;
  readonly presenceOf: (server: Server) => Presence;
  /** Ends what a dead server of this machine has left running. */
  readonly killChildren: (server: Server) => Promise<void>;
  /** Makes late writes of the token impossible; answers the run's last sequence number. */
  readonly fence: (run: Run, thread: Thread, token: string) => Promise<number>;
  /** The same for the journal alone, for a holder of the turn that is no run. */
  readonly fenceHolder: (thread: Thread, holder: string) => Promise<void>;
  readonly newestCheckpoint: (thread: Thread) => Promise<string | undefined>;
  /** Where the thread stands; null when nothing is left of its runs. */
  readonly readState: (thread: Thread) => Promise<RememberedState | null>;
  readonly settle: (run: Run, token: string, result: AttemptResult, end: SweptEnd) => Promise<void>;
  /** Gives a run whose delay has ended its place in its thread's order. */
  readonly joinOrder: (run: Run) => Promise<unknown>;
  /** Threads that are busy with nothing. */
  readonly restThreads: (unchangedSince: Date) => Promise<void>;
  readonly removeThread: (thread: Thread) => Promise<void>;
  /** What other parts repair after these, by what it is; each gets the time of a lease ago. */
  readonly others?: Readonly<Record<string, (aLeaseAgo: Date) => Promise<void>>>;
  readonly onError: (error: unknown, what: string) => void;
}

interface SweptEnd {
  readonly lastSequence: number;
  readonly endCheckpointId?: string;
}

export interface Sweep {
  /** One sweep, at once; joins the one that is under way. */
  sweep(): Promise<void>;
  /** Takes over a run whose execution nobody follows; `reachable` when its processes are known to be dead. Repeatable. */
  takeOver(run: Run, reachable: boolean): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Repairs what a crash has left, thrice a lease period and at the start: leases that are over, ends that the thread does not
 * know, turns that are lost, watchers of dead servers. Every repair is guarded and can be done by several servers at once.
 */
export function createSweep(parts: SweepParts): Sweep {
  const { runs, threads, servers } = parts;
  /** Runs that are being taken over right now. */
  const taking = new Set<string>();
  let stopped = false;
  const rounds = createRounds(sweep, {
    everyMs: parts.leaseMs / 3,
    onError: (error) => parts.onError(error, "a round"),
  });

  const aLeaseAgo = () => new Date(parts.clock.now().getTime() - parts.leaseMs);

  async function attempt(what: string, step: () => Promise<void>): Promise<void> {
    if (stopped) return;
    await step().catch((error) => parts.onError(error, what));
  }

  async function sweep(): Promise<void> {
    await attempt("look after dead servers", async () => {
      const lost: Server[] = [];
      for (const server of await servers.others(parts.server)) {
        const presence = parts.presenceOf(server);
        if (presence === "dead") await parts.killChildren(server);
        if (presence !== "alive") lost.push(server);
      }
      const dead = lost.filter((server) => parts.presenceOf(server) === "dead").map((server) => server.id);
      // Before the runs are taken over: one that is to be cancelled does not start again.
      for (const server of lost) await cancelWatched(server, lost);
      await takeOverRuns(dead);
      for (const server of lost) await servers.leave(server.id);
    });
    await attempt("finish ended runs", finishEndedRuns);
    await attempt("repair lost turns", repairTurns);
    await attempt("finish double-texting", () => parts.supersede.redo(aLeaseAgo()));
    await attempt("promote waiting runs", promoteWaiting);
    await attempt("repair busy threads", () => parts.restThreads(aLeaseAgo()));
    await attempt("finish deletions", async () => {
      for (const thread of await threads.removing()) await parts.removeThread(thread);
    });
    for (const [what, repair] of Object.entries(parts.others ?? {})) await attempt(what, () => repair(aLeaseAgo()));
  }

  async function takeOverRuns(deadServers: readonly string[]): Promise<void> {
    for (const run of await parts.leases.expired(parts.clock.now(), deadServers)) {
      if (parts.executing.knows(run.runId)) continue;
      await attempt(`take over run ${run.runId}`, () => takeOver(run, deadServers.includes(run.lease!.server)));
    }
  }

  async function takeOver(run: Run, reachable: boolean): Promise<void> {
    if (taking.has(run.runId)) return;
    taking.add(run.runId);
    await fenceAndSettle(run, reachable).finally(() => taking.delete(run.runId));
  }

  async function fenceAndSettle(run: Run, reachable: boolean): Promise<void> {
    const unfenced = [...run.lease!.unfenced, run.lease!.token];
    const lease = { token: newId(), server: parts.server, until: parts.clock.leaseEnd(), unfenced };
    const taken = await parts.leases.takeOver(run, lease);
    const thread = taken && (await threads.find(run));
    if (!taken || !thread) return;
    let lastSequence = 1;
    for (const token of unfenced) lastSequence = await parts.fence(taken, thread, token);
    const end: SweptEnd = { lastSequence, endCheckpointId: await parts.newestCheckpoint(thread) };
    await parts.settle(taken, lease.token, { kind: "lost", suspect: false, reachable }, end);
  }

  async function cancelWatched(server: Server, lost: readonly Server[]): Promise<void> {
    for (const watch of await servers.watchesOf(server.id)) {
      if (watch.ifLast && (await isWatchedElsewhere(watch, lost))) {
        // Whoever departs there last does what it wanted.
        await servers.markLeft(watch.id);
        continue;
      }
      try {
        await parts.cancels.cancel(watch, disconnected);
      } catch (error) {
        // The run is over or gone: there is nothing to cancel.
        if (!(error instanceof DomainError)) throw error;
      }
      await servers.unwatch(watch.id);
      for (const other of await servers.watchesOfRun(watch)) if (other.left) await servers.unwatch(other.id);
    }
  }

  async function isWatchedElsewhere(run: RunName, lost: readonly Server[]): Promise<boolean> {
    const isLost = (id: string) => lost.some((server) => server.id === id);
    return (await servers.watchesOfRun(run)).some((watch) => !watch.left && !isLost(watch.server));
  }

  async function finishEndedRuns(): Promise<void> {
    for (const run of await runs.unfinished(1000)) {
      if (!parts.executing.knows(run.runId)) await parts.finish.finishRun(run);
    }
  }

  /** Turns whose run is over, was never stored, or was not told of it. */
  async function repairTurns(): Promise<void> {
    for (const thread of await threads.heldTurns(aLeaseAgo())) {
      const holder = { owner: thread.owner, threadId: thread.threadId, runId: thread.turn! };
      const run = await runs.find(holder);
      if (run?.phase === "waiting" && run.dueAt) await parts.joinOrder(run);
      else if (run?.phase === "waiting") await runs.markReady(holder);
      else if (run?.phase === "over" && !run.cleanupPending) await parts.finish.releaseTurn(thread, holder.runId);
      else if (!run && (!isRun(holder.runId) || (await neverStored(holder)))) {
        // An edit of the state that goes on after all must find itself fenced before a run can start.
        await parts.fenceHolder(thread, holder.runId);
        // It may have been a deletion, which has removed the last checkpoint, or an edit that has made one.
        await parts.finish.releaseTurn(thread, holder.runId, { state: await parts.readState(thread) });
      }
    }
  }

  /** An insert that is still under way finds its id taken. */
  const neverStored = (holder: { owner: string; threadId: string; runId: string }) => runs.forbid(holder);

  async function promoteWaiting(): Promise<void> {
    const before = aLeaseAgo();
    const waiting = (await runs.waiting(1000)).filter((run) => run.createdAt < before);
    const byThread = new Map(waiting.map((run) => [`${run.owner}/${run.threadId}`, run]));
    for (const run of byThread.values()) await parts.finish.promote(run);
  }

  return {
    sweep: rounds.join,
    takeOver,
    async stop() {
      stopped = true;
      await rounds.stop();
    },
  };
}

/** What a watcher that leaves asks for. */
export const disconnected = { action: "interrupt", reason: "client disconnected", requestedBy: "disconnect" } as const;
