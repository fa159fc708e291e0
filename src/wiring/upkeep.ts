import { createRestThreads } from "../domain/rest-threads.ts";
import type { Run } from "../domain/run.ts";
import { identifyProcess, isAlive } from "../storage/embedded/process-identity.ts";
import { createLeaseKeeper } from "../worker/lease-keeper.ts";
import { createRetention } from "../worker/retention.ts";
import { killChildren, machineName, presenceOf } from "../worker/server-presence.ts";
import { orphanedResult } from "../worker/settle.ts";
import { createSweep } from "../worker/sweep.ts";
import type { Domain } from "./domain.ts";
import type { Foundation } from "./foundation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";
import type { Worker } from "./worker.ts";

export type Upkeep = ReturnType<typeof createUpkeep>;

export interface UpkeepParts {
  readonly foundation: Foundation;
  readonly streams: Streams;
  readonly states: States;
  readonly lifecycle: Lifecycle;
  readonly worker: Worker;
  readonly domain: Domain;
}

/** What keeps this server's leases, repairs what crashes have left, and removes what has expired. */
export function createUpkeep({ foundation, streams, states, lifecycle, worker, domain }: UpkeepParts) {
  const { config, stores, journal, host, server, signals, clock, executing, closing, onError } = foundation;
  const { runs, leases, threads, servers, events } = stores;
  const { finish, cancels, supersede, order, removal } = lifecycle;
  const { settle, unsettled, temporaryThreads, webhooks } = worker;
  const { fence } = streams;
  const machine = machineName();
  const self = identifyProcess(process.pid) ?? { pid: process.pid, started: "" };

  const sweep = createSweep({
    runs,
    leases,
    threads,
    servers,
    finish,
    cancels,
    supersede,
    executing,
    clock,
    server,
    leaseMs: config.leaseMs,
    presenceOf: (other) => presenceOf(other, { machine, isAlive, now: clock.now(), silentAfterMs: 3 * config.leaseMs }),
    killChildren: (other) => killChildren(other.children, (line) => line.includes("worker/child/main.")),
    fence,
    fenceHolder: (thread, holder) => journal.fence(thread.journal, holder, thread),
    newestCheckpoint: states.newestCheckpoint,
    readState: states.whereItStands,
    settle,
    joinOrder: order.join,
    restThreads: createRestThreads({ runs, threads, finish }),
    removeThread: (thread) => removal.deleteThread(thread, closing.signal),
    others: {
      "create the rest of batches": domain.createBatch.sweep,
      "remove temporary threads": temporaryThreads.sweep,
      "call webhooks": webhooks.sweep,
    },
    onError: (error, what) => onError(`the sweep (${what})`)(error),
  });

  async function orphaned(run: Run): Promise<void> {
    // A takeover that is under way, or was left by an error: earlier executions may still write.
    if (run.lease!.unfenced.length > 0) return sweep.takeOver(run, false);
    const thread = await threads.find(run);
    if (!thread) return;
    // Whether anything of it is still under way to the database is unknown.
    const lastSequence = await fence(run, thread, run.lease!.token);
    await settle(run, run.lease!.token, orphanedResult(unsettled.delete(run.runId)), { lastSequence });
  }

  const keeper = createLeaseKeeper({
    leases,
    clock,
    executing,
    cancelStored: signals.cancelStored.emit,
    host,
    server,
    leaseMs: config.leaseMs,
    beat: (children) => servers.beat({ id: server, machine, ...self, children: [...children] }),
    orphaned,
    monotonicMs: foundation.monotonicMs,
    onError: onError("the heartbeat"),
  });

  const retention = createRetention({
    runs,
    threads,
    events,
    now: clock.now,
    everyMs: config.leaseMs / 3,
    removeThread: (thread) => removal.deleteThread(thread, closing.signal),
    onError: (error, what) => onError(`retention (${what})`)(error),
  });

  return {
    /** Runs are claimed from the first heartbeat on; the first sweep follows it. */
    begin: () => void keeper.beat().then(() => sweep.sweep()),
    async stop() {
      await Promise.all([sweep.stop(), retention.stop(), keeper.stop()]);
    },
  };
}
