import type { Logger } from "pino";
import type { AppParts } from "./app.ts";
import type { Config } from "./config.ts";
import { type Assistants, createAssistants } from "./create-assistants.ts";
import { type CancelRuns, createCancelRuns } from "./domain/cancel-runs.ts";
import { type CreateRun, createCreateRun } from "./domain/create-run.ts";
import { DomainError } from "./domain/errors.ts";
import { createFinishRun, type StateAtEnd } from "./domain/finish-run.ts";
import { createReadRuns, type ReadRuns } from "./domain/read-runs.ts";
import { createReadThreads, type ReadThreads } from "./domain/read-threads.ts";
import type { Run, RunName } from "./domain/run.ts";
import type { Thread } from "./domain/thread.ts";
import { type CreateThread, createCreateThread, createRemoval, type Removal } from "./domain/threads.ts";
import { identifyProcess, isAlive } from "./storage/embedded/process-identity.ts";
import { createEventFlusher } from "./stream/event-flusher.ts";
import { createEventHub } from "./stream/event-hub.ts";
import { fenceEvents, openEventWriter } from "./stream/event-writer.ts";
import { createOutcomes, type Outcomes } from "./stream/outcomes.ts";
import { type NumberedEvent, type TailOptions, tail } from "./stream/tail.ts";
import { openedBy } from "./worker/assistant-config.ts";
import { startAttempt, toState } from "./worker/attempt.ts";
import { createExecutor } from "./worker/executor.ts";
import { createLeaseKeeper } from "./worker/lease-keeper.ts";
import type { GraphReport, GraphSpec, Inspection, StateReport } from "./worker/protocol.ts";
import { createScheduler } from "./worker/scheduler.ts";
import { killChildren, machineName, presenceOf } from "./worker/server-presence.ts";
import { createSettle } from "./worker/settle.ts";
import { createSweep } from "./worker/sweep.ts";

export interface RunsOptions extends AppParts {
  readonly config: Config;
  readonly graphs: readonly GraphSpec[];
  readonly reports: readonly GraphReport[];
  /** This server's id, made anew at each start. */
  readonly server: string;
  /** Whether an error means that the database is away for the moment. */
  readonly isPassing: (error: unknown) => boolean;
  readonly pause: (signal?: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** The runs of this server: what the services call, and the worker that executes. */
export interface Runs {
  readonly server: string;
  readonly assistants: Assistants;
  readonly createThread: CreateThread;
  readonly createRun: CreateRun;
  readonly cancels: CancelRuns;
  readonly removal: Removal;
  readonly readRuns: ReadRuns;
  readonly readThreads: ReadThreads<StateReport>;
  readonly outcomes: Outcomes;
  readonly tail: (options: TailOptions) => AsyncGenerator<NumberedEvent[]>;
  /** Claims nothing more and hands back what executes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How long a drain tries to write the outcome of what it has killed. */
const settleLimitMs = 3_000;

/** Wires the domain, the streams and the worker. Claims runs from the first heartbeat on. */
export function createRuns(options: RunsOptions): Runs {
  const { config, stores, journal, host, server, isPassing, pause, log } = options;
  const { runs, threads, leases, events, servers } = stores;
  const machine = machineName();
  const self = identifyProcess(process.pid) ?? { pid: process.pid, started: "" };
  const onError = (what: string) => (error: unknown) =>
    log[isPassing(error) ? "warn" : "error"]({ err: error }, `${what} failed; it is tried again`);

  const hub = createEventHub();
  const flusher = createEventFlusher(events);
  const outcomes = createOutcomes(runs, { pollMs: config.pollMs, onPollError: onError("looking for ended runs") });

  const newestCheckpoint = async (thread: Thread) => (await journal.newest(thread.journal))?.checkpointId;
  const factories = new Set(options.reports.filter(({ nodes }) => nodes === undefined).map(({ name }) => name));
  const inspect = async <I extends Inspection>(thread: Thread, inspection: I) => {
    // What a factory makes may depend on what it is called with.
    const last = factories.has(inspection.graph) ? await runs.lastStarted(thread) : undefined;
    const opened = last?.graph === inspection.graph && { opened: openedBy(last) };
    return host.inspect(journal.reader(thread.journal), { ...inspection, ...opened });
  };
  const readState = async (thread: Thread, graph: string, query: { checkpointId?: string; omitValues: boolean }) =>
    (await inspect(thread, { kind: "state", graph, ...query }))[0]!;
  const stateIfReadable = async (
    thread: Thread,
    graph: string,
    checkpointId?: string,
  ): Promise<StateReport | undefined> => {
    try {
      return await readState(thread, graph, { checkpointId, omitValues: false });
    } catch (error) {
      if (!(error instanceof DomainError && error.reason === "GRAPH_UNAVAILABLE")) throw error;
      log.warn({ err: error, thread_id: thread.threadId }, "the thread's state cannot be read");
      return undefined;
    }
  };
  const stateAtEnd = async (thread: Thread, graph: string): Promise<StateAtEnd | undefined> => {
    const report = await stateIfReadable(thread, graph);
    return report && toState(report);
  };

  const data = {
    removeCheckpoints: (thread: Thread, run: Run) => journal.deleteRun(thread.journal, run.runId),
    removeEvents: (run: Run) => events.remove(run),
    async removeThread(thread: Thread) {
      await journal.deleteJournal(thread.journal);
      await events.removeAll(thread);
    },
  };
  const isRemoved = async (run: RunName) => ((await runs.find(run))?.phase ?? "rolling_back") === "rolling_back";
  const fence = async (run: Run, thread: Thread, token: string): Promise<number> => {
    await journal.fence(thread.journal, token);
    return fenceEvents(events, run, token);
  };

  const finish = createFinishRun({
    ...{ runs, threads, data, newestCheckpoint, readState: stateAtEnd },
    turnPassed: () => scheduler.wake(),
    announce(run) {
      outcomes.announce(run);
      hub.poke(run);
    },
  });
  const settle = createSettle({
    ...{ runs, finish },
    handedBack: () => scheduler.wake(),
    dropped: (run) => log.warn({ run_id: run.runId }, "a late outcome was dropped: the run is somebody else's by now"),
  });

  /** For what must be done, however long the database is away: tried until it is back, the signal aborts or the server ends. */
  async function whileAway<T>(what: () => Promise<T>, signal: AbortSignal = closing.signal): Promise<T> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if (!isPassing(error) || signal.aborted || closing.signal.aborted) throw error;
        await pause(signal);
      }
    }
  }
  const closing = new AbortController();

  const keeperParts = {
    ...{ leases, host, server, leaseMs: config.leaseMs, onError: onError("the heartbeat") },
    beat: (children: readonly number[]) => servers.beat({ _id: server, machine, ...self, children: [...children] }),
    orphaned: async (run: Run) => {
      // A takeover that is under way, or was left by an error: earlier executions may still write.
      if (run.lease!.unfenced.length > 0) return sweep.takeOver(run, false);
      const thread = await threads.find(run);
      if (!thread) return;
      // Whether anything of it is still under way to the database is unknown.
      const lastSequence = await fence(run, thread, run.lease!.token);
      await settle(run, run.lease!.token, { kind: "displaced", killed: false, noPlace: false }, { lastSequence });
    },
    monotonicMs: () => performance.now(),
  };
  const executor = createExecutor({
    ...{ host, server, leaseEnd: () => keeper.leaseEnd() },
    start: (run, thread) => startAttempt(attemptParts, run, thread),
    settle: (run, token, { result, state, ...end }) => whileAway(() => settle(run, token, result, end, state)),
    failed: (run, err) =>
      log.error({ err, run_id: run.runId }, "an attempt has failed; its run will be taken up again"),
  });
  const attemptParts = {
    ...{ host, journal, fence, isPassing, whileAway },
    openEvents: (run: Run, token: string) =>
      openEventWriter({
        ...{ run, token, store: events, flusher, isPassing, pause },
        published: (chunk) => hub.publish(run, chunk),
      }),
    isDedicated: (graph: string) => options.graphs.find((one) => one.name === graph)?.isolation === "dedicated",
    stillMine: async (run: Run, token: string) => (await runs.find(run))?.lease?.token === token,
    delivered: (run: Run, token: string) =>
      void runs.markDelivered(run, token).catch(onError("noting that a cancel was delivered")),
  };
  const keeper = createLeaseKeeper({ ...keeperParts, executor });
  const scheduler = createScheduler({
    ...{ runs, threads, executor, pollMs: config.pollMs, onError: onError("claiming runs") },
  });
  host.onFree(() => scheduler.wake());

  const cancels = createCancelRuns({
    ...{ runs, finish },
    async newestCheckpoint(name) {
      const thread = await threads.find(name);
      return thread && newestCheckpoint(thread);
    },
    signal: (run) => executor.cancelStored(run),
  });
  const createThread = createCreateThread(threads);
  const assistants = createAssistants(options);
  const checkpointExists = (thread: Thread, checkpointId: string) =>
    journal.checkpointExists(thread.journal, checkpointId);
  const removal = createRemoval({ runs, threads, cancels, finish, data, readState: stateAtEnd, wait: outcomes.wait });
  const sweep = createSweep({
    ...{ runs, leases, threads, servers, finish, cancels, executor, keeper, server, leaseMs: config.leaseMs },
    ...{ fence, settle, newestCheckpoint },
    async readState(thread) {
      const last = await runs.lastStarted(thread);
      const state = last && (await stateAtEnd(thread, last.graph));
      if (last && !state) return undefined;
      return state?.checkpointId === undefined ? null : { ...state, n: last!.n, graph: last!.graph };
    },
    presenceOf: (other) =>
      presenceOf(other, { machine, isAlive, now: keeper.now(), silentAfterMs: 3 * config.leaseMs }),
    killChildren: (other) => killChildren(other.children, (line) => line.includes("worker/child/main.")),
    removeThread: (thread) => removal.deleteThread(thread, closing.signal),
    onError: (error, what) => onError(`the sweep (${what})`)(error),
  });
  void keeper.beat().then(() => sweep.sweep());

  return {
    ...{ server, assistants, createThread, cancels, removal, outcomes },
    createRun: createCreateRun({
      ...{ runs, threads, finish, createThread, checkpointExists },
      resolveAssistant: assistants.resolve,
      reserve: (runId) => executor.reserve(runId),
      turnPassed: () => scheduler.wake(),
    }),
    readRuns: createReadRuns({ runs, threads, readState: stateIfReadable }),
    readThreads: createReadThreads<StateReport>({
      ...{ runs, threads, checkpointExists, readState },
      readHistory: (thread, graph, query) => inspect(thread, { kind: "history", graph, ...query }),
      emptyState: { checkpointNs: "", next: [], tasks: [], interrupts: [] },
    }),
    tail: (request) =>
      tail({ events, hub, ended: outcomes.ended, isRemoved, pollMs: config.pollMs, whileAway }, request),

    async drain(graceMs) {
      await scheduler.stop();
      // Without the database no outcome can be written: what is left is then for the server that comes next.
      const limit = setTimeout(() => closing.abort(), graceMs + settleLimitMs);
      await executor.drain(graceMs);
      clearTimeout(limit);
    },
    async close() {
      await scheduler.stop();
      await executor.drain(0);
      closing.abort();
      await Promise.all([sweep.stop(), keeper.stop()]);
      outcomes.stop();
      await servers.leave(server).catch(onError("leaving"));
    },
  };
}
