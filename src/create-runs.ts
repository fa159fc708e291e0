import type { Run } from "./domain/run/run.ts";
import { createAttempts } from "./wiring/attempts.ts";
import { createBetweenServers } from "./wiring/between-servers.ts";
import { createDomain, type Domain } from "./wiring/domain.ts";
import { layFoundation, type RunsOptions } from "./wiring/foundation.ts";
import { joinServers } from "./wiring/join-servers.ts";
import { createLifecycle } from "./wiring/lifecycle.ts";
import { createStates } from "./wiring/states.ts";
import { createStreams, type Streams } from "./wiring/streams.ts";
import { createUpkeep } from "./wiring/upkeep.ts";
import { createWorker, type Worker } from "./wiring/worker.ts";

/** The runs of this server: what the services call, and the worker that executes. */
export interface Runs extends Domain, Pick<Streams, "outcomes" | "openFeed" | "tail" | "sequenceAt"> {
  /** The name of its present life. */
  readonly server: () => string;
  /** Called whenever a new life has begun, since others have declared this server dead. */
  readonly onNewLife: (listener: () => void) => void;
  /** Called whenever a run is over for everybody; after a crash perhaps once more. */
  readonly onEnded: (listener: (run: Run) => void) => void;
  /** With its request id, if it has one. */
  readonly createRun: Domain["requestIds"]["createRun"];
  /** Keeps the thread of a stateless run for a caller; see TemporaryThreads. */
  readonly pinThread: Worker["temporaryThreads"]["open"];
  /** What there is to do; `live` counts the runs of all servers, up to the most that there may be. */
  load(): Promise<{ readonly live: number; readonly executing: number; readonly slots: number }>;
  /** Claims nothing more and hands back what executes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How long a drain tries to write the outcome of what it has killed. */
const settleLimitMs = 3_000;

/**
 * Makes the parts of a server one after the other, each from those before it, once the other servers know of this one and it
 * knows the database's time: what looks for work by itself must neither decide nor remove anything before that.
 */
export async function createRuns(options: RunsOptions): Promise<Runs> {
  const foundation = layFoundation(options);
  await joinServers(foundation);
  const betweenServers = createBetweenServers(foundation);
  const streams = createStreams(foundation, betweenServers);
  const states = createStates(foundation);
  const lifecycle = createLifecycle(foundation, streams, states);
  const start = createAttempts(foundation, streams, states, lifecycle);
  const worker = createWorker(foundation, states, lifecycle, start);
  const domain = createDomain(foundation, states, lifecycle, worker);
  const upkeep = createUpkeep({ foundation, streams, states, lifecycle, worker, domain, betweenServers });

  const { config, stores, self, executing, closing, onError } = foundation;
  void upkeep.lookAround().catch(onError("looking around"));
  const { executor, scheduler, dueRuns, temporaryThreads, webhooks } = worker;
  return {
    ...domain,
    server: () => self().id,
    onNewLife: (listener) => foundation.signals.newLife.on(listener),
    onEnded: (listener) => foundation.signals.ended.on(listener),
    outcomes: streams.outcomes,
    openFeed: streams.openFeed,
    tail: streams.tail,
    sequenceAt: streams.sequenceAt,
    createRun: domain.requestIds.createRun,
    pinThread: temporaryThreads.open,

    async load() {
      const slots = config.children * config.slotsPerChild;
      const live = await stores.runs.countLive(config.maxLiveRuns);
      return { live, executing: executing.attempts.size, slots };
    },
    async drain(graceMs) {
      const end = performance.now() + graceMs;
      await Promise.all([scheduler.stop(), dueRuns.stop()]);
      // Without the database no outcome can be written: what is left is then for the server that comes next.
      const limit = setTimeout(() => closing.abort(), graceMs + settleLimitMs);
      await executor.drain(graceMs);
      clearTimeout(limit);
      await webhooks.stop(Math.max(0, end - performance.now()));
    },
    async close() {
      await Promise.all([scheduler.stop(), dueRuns.stop()]);
      await executor.drain(0);
      await Promise.all([temporaryThreads.stop(), webhooks.stop(0)]);
      await worker.closeWebhooks();
      closing.abort();
      await upkeep.stop();
      await betweenServers.stop();
      await stores.servers.end(self().id).catch(onError("leaving"));
    },
  };
}
