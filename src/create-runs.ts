import type { Logger } from "pino";
import type { AppParts } from "./app.ts";
import { unreadState } from "./checkpoints/unread-state.ts";
import type { Config } from "./config.ts";
import { type Assistants, createAssistants } from "./create-assistants.ts";
import { rememberedCharacters } from "./domain/bounded.ts";
import { createCancelChildren } from "./domain/cancel-children.ts";
import { type CancelRuns, createCancelRuns } from "./domain/cancel-runs.ts";
import { type CanonicalOf, canonicalOf as readCanonical } from "./domain/canonical-json.ts";
import { createGraphOf, type FindCheckpoint } from "./domain/checkpoints.ts";
import { type CopyThread, createCopyThread } from "./domain/copy-thread.ts";
import { type CreateBatch, createCreateBatch } from "./domain/create-batch.ts";
import { type CreateRun, createCreateRun } from "./domain/create-run.ts";
import { cannotBeRead } from "./domain/errors.ts";
import { createFinishRun, type StateAtEnd } from "./domain/finish-run.ts";
import { createHoldTurn } from "./domain/hold-turn.ts";
import { createItems, type Items } from "./domain/items.ts";
import { createJoinOrder } from "./domain/join-order.ts";
import { createPreviewCancels, type PreviewCancels } from "./domain/preview-cancels.ts";
import { createPruneThreads, type PruneThreads } from "./domain/prune-threads.ts";
import { createReadRuns, type ReadRuns } from "./domain/read-runs.ts";
import { createReadThreads, type ReadThreads, type StateQuery } from "./domain/read-threads.ts";
import { createRequestIds, type RequestIds } from "./domain/request-ids.ts";
import { createRestThreads } from "./domain/rest-threads.ts";
import type { Run, RunName } from "./domain/run.ts";
import { createRunLimits } from "./domain/run-limits.ts";
import { createSearchThreads, type SearchThreads } from "./domain/search-threads.ts";
import { createSupersede } from "./domain/supersede.ts";
import type { RememberedState, Thread } from "./domain/thread.ts";
import { type CreateThread, createCreateThread, createRemoval, ifMerely, type Removal } from "./domain/threads.ts";
import { createUpdateState, type UpdateState } from "./domain/update-state.ts";
import { createUpdateThread, type UpdateThread } from "./domain/update-thread.ts";
import { identifyProcess, isAlive } from "./storage/embedded/process-identity.ts";
import type { Attachment } from "./stream/attachment.ts";
import { createEventFlusher } from "./stream/event-flusher.ts";
import { createEventHub, type Feed } from "./stream/event-hub.ts";
import { fenceEvents, openEventWriter } from "./stream/event-writer.ts";
import { createOutcomes, type Outcomes } from "./stream/outcomes.ts";
import { createSequenceAt, type SequenceAt } from "./stream/sequence-at.ts";
import { type NumberedEvent, type TailOptions, tail } from "./stream/tail.ts";
import { createThreadData } from "./thread-data.ts";
import { startAttempt, toState } from "./worker/attempt.ts";
import { openAttemptItems, writeLimits } from "./worker/attempt-items.ts";
import { createDueRuns } from "./worker/due-runs.ts";
import { createEditState } from "./worker/edit-state.ts";
import { createExecutor } from "./worker/executor.ts";
import { createInspectThread } from "./worker/inspect-thread.ts";
import { createLastOpening } from "./worker/last-opening.ts";
import { createLeaseKeeper } from "./worker/lease-keeper.ts";
import type { GraphReport, GraphSpec, StateReport } from "./worker/protocol.ts";
import { readOnlyItems } from "./worker/read-items.ts";
import { createRetention } from "./worker/retention.ts";
import { createScheduler } from "./worker/scheduler.ts";
import { killChildren, machineName, presenceOf } from "./worker/server-presence.ts";
import { createSettle, orphanedResult } from "./worker/settle.ts";
import { createSweep } from "./worker/sweep.ts";
import { createTemporaryThreads } from "./worker/temporary-threads.ts";
import { postWebhook } from "./worker/webhook-post.ts";
import { createWebhooks } from "./worker/webhooks.ts";

export interface RunsOptions extends AppParts {
  readonly config: Config;
  readonly graphs: readonly GraphSpec[];
  readonly reports: readonly GraphReport[];
  /** This server's id, made anew at each start. */
  readonly server: string;
  /** Whether an error means that the database is away for the moment. */
  readonly isPassing: (error: unknown) => boolean;
  readonly pause: (signal?: AbortSignal) => Promise<void>;
  /** On this thread, if nothing else is said. */
  readonly canonicalOf?: CanonicalOf;
  readonly log: Logger;
}

/** The runs of this server: what the services call, and the worker that executes. */
export interface Runs {
  readonly server: string;
  readonly assistants: Assistants;
  readonly createThread: CreateThread;
  readonly updateThread: UpdateThread;
  readonly searchThreads: SearchThreads;
  readonly copyThread: CopyThread;
  readonly pruneThreads: PruneThreads;
  readonly createRun: CreateRun;
  readonly requestIds: RequestIds;
  readonly createBatch: CreateBatch;
  readonly cancels: CancelRuns;
  readonly preview: PreviewCancels;
  readonly removal: Removal;
  readonly readRuns: ReadRuns;
  readonly readThreads: ReadThreads<StateReport>;
  readonly updateState: UpdateState;
  readonly items: Items;
  readonly outcomes: Outcomes;
  /** Keeps the thread of a stateless run for a caller; see TemporaryThreads. */
  readonly openAttachment: (name: RunName) => Attachment;
  readonly openFeed: (name: RunName) => Feed;
  readonly tail: (options: TailOptions) => AsyncGenerator<NumberedEvent[]>;
  readonly sequenceAt: SequenceAt;
  /** What there is to do; `live` counts the runs of all servers, up to the most that there may be. */
  load(): Promise<{ readonly live: number; readonly executing: number; readonly slots: number }>;
  /** Claims nothing more and hands back what executes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How long a drain tries to write the outcome of what it has killed. */
const settleLimitMs = 3_000;

/** Wires the domain, the streams and the worker. Claims runs from the first heartbeat on. */
export function createRuns(options: RunsOptions): Runs {
  const { config, stores, journal, host, server, isPassing, pause, log } = options;
  const { canonicalOf = readCanonical } = options;
  const { runs, threads, leases, events, servers } = stores;
  const machine = machineName();
  const self = identifyProcess(process.pid) ?? { pid: process.pid, started: "" };
  const onError = (what: string) => (error: unknown) =>
    log[isPassing(error) ? "warn" : "error"]({ err: error }, `${what} failed; it is tried again`);

  const hub = createEventHub();
  const flusher = createEventFlusher(events);
  const outcomes = createOutcomes(runs, { pollMs: config.pollMs, onPollError: onError("looking for ended runs") });

  const newestCheckpoint = async (thread: Thread) => (await journal.newest(thread.journal))?.checkpointId;
  const items = createItems(stores.items, config);
  const lastOpening = createLastOpening(runs, options.reports);
  const inspect = createInspectThread({ host, lastOpening, readItems: (owner) => readOnlyItems(items, owner) });
  const readState = async (thread: Thread, graph: string, query: StateQuery) =>
    (await inspect(thread, journal.reader(thread.journal), { kind: "state", graph, ...query }))[0]!;
  const stateIfReadable = async (thread: Thread, graph: string, checkpointId?: string) => {
    try {
      return await readState(thread, graph, { checkpointId, omitValues: false });
    } catch (error) {
      if (!cannotBeRead(error)) throw error;
      log.warn({ err: error, thread_id: thread.threadId }, "the thread's state cannot be read");
      return undefined;
    }
  };
  const stateAtEnd = async (thread: Thread, graph: string): Promise<StateAtEnd> => {
    const report = await stateIfReadable(thread, graph);
    return report ? toState(report) : unreadState(journal.reader(thread.journal));
  };

  /** What is to be remembered of the thread; null without a checkpoint. */
  async function whereItStands(thread: Thread): Promise<RememberedState | null> {
    const graph = await graphOf(thread);
    const state = graph === undefined ? undefined : await stateAtEnd(thread, graph);
    const last = await runs.lastStarted(thread);
    const n = last?.n ?? thread.state?.n ?? thread.n;
    const assistantId = last?.assistant.assistantId ?? thread.state?.assistantId;
    return state?.checkpointId === undefined ? null : { ...state, n, graph: graph!, assistantId };
  }

  const data = createThreadData(journal, events);
  const isRemoved = async (run: RunName) => ((await runs.find(run))?.phase ?? "rolling_back") === "rolling_back";
  const fence = async (run: Run, thread: Thread, token: string): Promise<number> => {
    await journal.fence(thread.journal, token);
    return fenceEvents(events, run, token);
  };

  const finish = createFinishRun({
    ...{ runs, threads, data, newestCheckpoint, readState: stateAtEnd },
    turnPassed: () => scheduler.wake(),
    cancelChildren: (run) => children.cancelChildren([run]),
    announce(run) {
      outcomes.announce(run);
      hub.end(run);
      temporaryThreads.over(run);
      webhooks.over(run);
    },
  });
  const settle = createSettle({
    ...{ runs, finish, isPassing },
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

  /** Runs whose attempts here have ended without an outcome that could be written. */
  const unsettled = new Set<string>();
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
      await settle(run, run.lease!.token, orphanedResult(unsettled.delete(run.runId)), { lastSequence });
    },
    monotonicMs: () => performance.now(),
  };
  const executor = createExecutor({
    ...{ host, server, leaseEnd: () => keeper.leaseEnd() },
    start: (run, thread) => startAttempt(attemptParts, run, thread),
    settle: (run, token, { result, state, ...end }, before) =>
      whileAway(() => settle(run, token, result, end, { state, before })),
    failed(run, err) {
      unsettled.add(run.runId);
      log.error({ err, run_id: run.runId }, "an attempt has failed; its run will be taken up again");
    },
    placeReturned: () => scheduler.wake(),
  });
  const attemptParts = {
    isExtra: (runId: string) => executor.borrows(runId),
    ...{ host, journal, fence, isPassing, whileAway },
    openEvents: (run: Run, token: string) =>
      openEventWriter({
        ...{ run, token, store: events, flusher, isPassing, pause, isFirst: run.attempt === 1 },
        published: (chunk) => hub.publish(run, chunk),
      }),
    openItems: ({ owner }: Run) =>
      openAttemptItems({
        ...{ items, owner, isPassing, pause, now: () => keeper.now() },
        ...writeLimits(keeper, config),
      }),
    isDedicated: (graph: string) => options.graphs.find((one) => one.name === graph)?.isolation === "dedicated",
    stillMine: async (run: Run, token: string) => (await runs.find(run))?.lease?.token === token,
    // Since the claim only a small part of a lease has passed, also by the clock that does not stop with the machine. The first
    // attempt begins when the run does; others look.
    isHeld: ({ lease, startedAt }: Run) =>
      keeper.now().getTime() < lease!.until.getTime() - config.leaseMs / 2 &&
      Date.now() - startedAt!.getTime() < config.leaseMs / 2,
    delivered: (run: Run, token: string) =>
      void runs.markDelivered(run, token).catch(onError("noting that a cancel was delivered")),
  };
  const keeper = createLeaseKeeper({ ...keeperParts, executor });
  const scheduler = createScheduler({
    ...{ runs, threads, executor, pollMs: config.pollMs, onError: onError("claiming runs") },
  });
  host.onFree(() => scheduler.slotFree());

  const cancels = createCancelRuns({
    ...{ runs, finish },
    async newestCheckpoint(name) {
      const thread = await threads.find(name);
      return thread && newestCheckpoint(thread);
    },
    executesHere: (runId) => executor.knows(runId),
    signal: (run) => executor.cancelStored(run),
    // What cannot be done now is done when the run settles: its own cancel is stored all the same.
    cancelChildren: (stopping) => children.cancelChildren(stopping).catch(onError("cancelling runs with their parent")),
  });
  const children = createCancelChildren({ runs, cancels });
  const order = createJoinOrder({
    ...{ runs, threads, finish },
    turnPassed: () => scheduler.wake(),
    dueAt: (time) => dueRuns.expect(time),
  });
  const dueRuns = createDueRuns({
    ...{ runs, join: order.join, now: () => keeper.now(), pollMs: config.pollMs },
    onError: onError("letting delayed runs join"),
  });
  const supersede = createSupersede({ runs, cancels, finish });
  const createThread = createCreateThread(threads, config.maxMetadataBytes);
  const assistants = createAssistants(options);
  const findCheckpoint: FindCheckpoint = (thread, name) => journal.checkpoint(thread.journal, name);
  const graphOf = createGraphOf(runs, findCheckpoint);
  const removal = createRemoval({
    ...{ runs, threads, cancels, finish, data, readState: stateAtEnd, wait: outcomes.wait },
    keepTurnMs: config.leaseMs / 3,
  });
  const holdTurn = createHoldTurn({ runs, threads, finish, leaseMs: config.leaseMs });
  const temporaryThreads = createTemporaryThreads({
    ...{ runs, threads, server },
    servers: async () => (await servers.others(server)).map(({ _id }) => _id),
    remove: (thread) => removal.deleteThread(thread, closing.signal).catch(ifMerely("THREAD_NOT_FOUND")),
    isBatchDone: stores.batches.isBatchDone,
    onError: onError("removing a temporary thread"),
  });
  const readRuns = createReadRuns({ runs, threads, readState: stateIfReadable, stateLeft: finish.stateLeft });
  const webhooks = createWebhooks({
    ...{ store: stores.webhooks, entomb: runs.entomb, post: postWebhook, now: () => keeper.now(), log },
    ...{ limitMs: config.webhookLimitMs, pauseMs: config.webhookPauseMs, leaseMs: config.leaseMs },
    async valuesAtEnd(run) {
      const { values } = await readRuns.endState(run);
      return values !== undefined && values.length <= rememberedCharacters ? values : undefined;
    },
    onError: onError("a webhook"),
  });
  const sweep = createSweep({
    ...{ runs, leases, threads, servers, finish, cancels, executor, keeper, server, leaseMs: config.leaseMs },
    ...{ fence, settle, newestCheckpoint, supersede },
    fenceHolder: (thread, holder) => journal.fence(thread.journal, holder, thread),
    ...{ joinOrder: order.join, restThreads: createRestThreads({ runs, threads, finish }) },
    readState: whereItStands,
    presenceOf: (other) =>
      presenceOf(other, { machine, isAlive, now: keeper.now(), silentAfterMs: 3 * config.leaseMs }),
    killChildren: (other) => killChildren(other.children, (line) => line.includes("worker/child/main.")),
    removeThread: (thread) => removal.deleteThread(thread, closing.signal),
    others: {
      "create the rest of batches": (aLeaseAgo) => createBatch.sweep(aLeaseAgo),
      "remove temporary threads": temporaryThreads.sweep,
      "call webhooks": webhooks.sweep,
    },
    onError: (error, what) => onError(`the sweep (${what})`)(error),
  });
  const reserve = (run: Run) => executor.reserve(run);
  const turnPassed = () => scheduler.wake();
  const limits = createRunLimits({ ...config, runs, monotonicMs: () => performance.now() });
  const newRuns = createCreateRun({
    ...{ runs, threads, finish, supersede, createThread, findCheckpoint, children, limits, reserve, turnPassed },
    delays: order,
    resolveAssistant: assistants.resolve,
    nodesOf: (graph) => options.reports.find(({ name }) => name === graph),
    maxMetadataBytes: config.maxMetadataBytes,
    now: () => keeper.now(),
    attachedTo: temporaryThreads.attachedTo,
  });
  const requestIds = createRequestIds({
    ...{ requests: stores.requests, runs, createRun: newRuns.create, cancels, canonicalOf },
  });
  const createBatch = createCreateBatch({
    ...{ runs, threads, batches: stores.batches, prepareRun: newRuns.prepare, children, limits, reserve, turnPassed },
    ...{ delays: order, maxBatch: config.maxBatch, leaseMs: config.leaseMs, monotonicMs: () => performance.now() },
    canonicalOf,
    done: temporaryThreads.batchDone,
  });
  const retention = createRetention({
    ...{ runs, threads, events, now: keeper.now, everyMs: config.leaseMs / 3 },
    removeThread: (thread) => removal.deleteThread(thread, closing.signal),
    onError: (error, what) => onError(`retention (${what})`)(error),
  });
  void keeper.beat().then(() => sweep.sweep());

  return {
    ...{ server, assistants, createThread, cancels, removal, outcomes },
    ...{ createRun: requestIds.createRun, requestIds },
    openAttachment: temporaryThreads.open,
    openFeed: hub.open,
    updateThread: createUpdateThread(threads, config.maxMetadataBytes),
    searchThreads: createSearchThreads(threads),
    copyThread: createCopyThread({
      threads,
      holdTurn,
      journals: data,
      readState: whereItStands,
      openingOf: lastOpening,
    }),
    pruneThreads: createPruneThreads({ runs, threads, removal, holdTurn, keepLatest: data.keepLatest }),
    ...{ createBatch, readRuns },
    ...{ preview: createPreviewCancels(runs), items },
    readThreads: createReadThreads<StateReport>({
      ...{ threads, findCheckpoint, graphOf, readState },
      readHistory: (thread, graph, query) =>
        inspect(thread, journal.reader(thread.journal), { kind: "history", graph, ...query }),
      toRemember: toState,
      emptyState: { checkpointNs: "", next: [], tasks: [], interrupts: [] },
    }),
    updateState: createUpdateState({
      ...{ runs, threads, finish, findCheckpoint, graphOf, readState: stateAtEnd },
      resolveAssistant: assistants.resolve,
      edit: createEditState({ inspect, journal, threads, renewMs: config.leaseMs / 3 }),
    }),
    sequenceAt: createSequenceAt({ events, threads, findCheckpoint }),
    tail: (request) =>
      tail({ events, hub, ended: outcomes.ended, isRemoved, pollMs: config.pollMs, whileAway }, request),

    async load() {
      const slots = config.children * config.slotsPerChild;
      const live = await runs.countLive(undefined, config.maxLiveRuns);
      return { live, executing: [...executor.attempts].length, slots };
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
      closing.abort();
      await Promise.all([sweep.stop(), retention.stop(), keeper.stop()]);
      outcomes.stop();
      await servers.leave(server).catch(onError("leaving"));
    },
  };
}
