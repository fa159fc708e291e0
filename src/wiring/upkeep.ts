import { keyOfRun } from "../domain/run/run.ts";
import type { ThreadName } from "../domain/thread.ts";
import { createHeartbeat } from "../worker/heartbeat.ts";
import { createRetention } from "../worker/retention.ts";
import { presenceOf } from "../worker/server-presence.ts";
import { createSharedRounds } from "../worker/shared-rounds.ts";
import { createSweep } from "../worker/sweep.ts";
import { createTakeOver } from "../worker/take-over.ts";
import type { BetweenServers } from "./between-servers.ts";
import type { Domain } from "./domain.ts";
import type { Foundation } from "./foundation.ts";
import { asServer } from "./join-servers.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";
import type { Worker } from "./worker.ts";

export interface UpkeepParts {
  readonly foundation: Foundation;
  readonly streams: Streams;
  readonly states: States;
  readonly lifecycle: Lifecycle;
  readonly worker: Worker;
  readonly domain: Domain;
  readonly betweenServers: BetweenServers;
}

/** What keeps this server's lease, takes over what dead ones have, and removes what has expired. */
export function createUpkeep(parts: UpkeepParts) {
  const { foundation, streams, states, lifecycle, worker, domain } = parts;
  const { config, stores, journal, host, self, signals, clock, executing, holds, closing, onError } = foundation;
  const { runs, lanes, servers, events } = stores;
  const { act, cancels, data, removal } = lifecycle;
  const { unsettled, executor, temporaryThreads, webhooks } = worker;
  const { name: machine, isAlive, killChildren } = foundation.machine;
  const liveServers = () => 1 + parts.betweenServers.others;
  const removeThread = (name: ThreadName) => removal.finish(name, closing.signal);

  /** So late a decision may still come that a server has begun before it slept, or was cut off. */
  const lateMs = 10 * config.leaseMs;

  const takeOver = createTakeOver({
    lanes,
    runs,
    servers,
    act,
    cancels,
    self,
    everyMs: Math.min(config.leaseMs / 3, 1_000),
    presenceOf: (other) => presenceOf(other, { machine, isAlive, silentAfterMs: config.leaseMs }),
    othersSeen: signals.othersSeen.emit,
    killChildren,
    fence: streams.fence,
    fenceHold: (thread, hold) => journal.fence(thread.journal, hold, thread),
    newestCheckpoint: states.newestCheckpoint,
    readState: states.whereItStands,
    settle: executor.settle,
    removeRun: removal.removeRun,
    keepLatest: data.keepLatest,
    wasUnsettled: (run) => unsettled.delete(keyOfRun(run)),
    now: clock.now,
    leaseMs: config.leaseMs,
    rememberMs: lateMs,
    forgottenEveryMs: 3 * config.leaseMs,
    onError: (error, what) => onError(`taking over (${what})`)(error),
  });

  const sweep = createSweep({
    lanes,
    runs,
    act,
    now: clock.now,
    leaseMs: config.leaseMs,
    lateMs,
    isMyRound: createSharedRounds(liveServers),
    removeThread: (name) => removal.finish(name),
    others: {
      "look for forgotten servers": takeOver.findForgotten,
      "create the rest of batches": domain.createBatch.sweep,
      "remove temporary threads": temporaryThreads.sweep,
      "call webhooks": webhooks.sweep,
    },
    onError: (error, what) => onError(`the sweep (${what})`)(error),
  });

  /** Others have taken over what this server had: what still executes here is ended, and then it begins anew. */
  async function beginAnew(): Promise<Date> {
    const now = await foundation.beginNewLife(async (id) => {
      await executor.killAll();
      return servers.join(asServer(foundation, id));
    });
    signals.newLife.emit();
    return now;
  }

  const heartbeat = createHeartbeat({
    lanes,
    clock,
    self,
    executing,
    holds,
    cancelStored: executor.cancelStored,
    host,
    leaseMs: config.leaseMs,
    beat: (children) => servers.beat(asServer(foundation, self().id, children)),
    declaredDead: beginAnew,
    adoptUnknownLease: takeOver.adoptUnknownLease,
    monotonicMs: foundation.monotonicMs,
    onError: onError("the heartbeat"),
  });

  const retention = createRetention({
    runs,
    lanes,
    act,
    events,
    now: clock.now,
    everyMs: config.leaseMs,
    isMyRound: createSharedRounds(liveServers),
    removeThread,
    onError: (error, what) => onError(`retention (${what})`)(error),
  });

  return {
    /** The first looks, at once. */
    async lookAround() {
      await heartbeat.beat();
      await takeOver.round();
      await sweep.sweep();
    },
    async stop() {
      await Promise.all([sweep.stop(), takeOver.stop(), retention.stop(), heartbeat.stop()]);
    },
  };
}
