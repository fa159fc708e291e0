import type { Journal, JournalWriter } from "../checkpoints/journal.ts";
import { FencedError } from "../checkpoints/journal-port.ts";
import type { KeptJournals } from "../checkpoints/kept-journals.ts";
import { longestTimerMs } from "../domain/longest-timer.ts";
import { type RunStart, startOf } from "../domain/run/checkpoints.ts";
import type { Run, RunError } from "../domain/run/run.ts";
import type { StateAtEnd } from "../domain/thread/pay-debts.ts";
import type { Thread } from "../domain/thread.ts";
import type { CancelAction } from "../domain/transitions.ts";
import type { EventWriter } from "../stream/event-writer.ts";
import { underTheRun } from "./assistant-config.ts";
import type { AttemptHost, AttemptOver, PlacedAttempt } from "./attempt-host.ts";
import type { AttemptItems } from "./attempt-items.ts";
import { errorReport } from "./error-report.ts";
import type { AttemptSpec, OutputTuple, StateReport } from "./protocol.ts";
import type { AttemptResult } from "./settle.ts";

/** What one execution of a run needs from the server. */
export interface AttemptParts {
  readonly host: AttemptHost;
  readonly journal: Journal;
  readonly keptJournals: Pick<KeptJournals, "take" | "put">;
  readonly openEvents: (run: Run, thread: Thread, token: string) => Promise<EventWriter>;
  readonly openItems: (run: Run) => AttemptItems;
  /** The run with all that it was given. */
  readonly withGiven: (run: Run) => Promise<Run>;
  readonly isDedicated: (graph: string) => boolean;
  readonly fence: (run: Run, thread: Thread, token: string) => Promise<number>;
  readonly stillMine: (run: Run, token: string) => Promise<boolean>;
  /** Whether the claim's lease is held for sure, by the clock alone. */
  readonly isHeld: (claimedAtMs: number) => boolean;
  /** Stores that a cancel has been delivered. */
  readonly delivered: (run: Run, token: string, at: Date) => void;
  /** The database's time. */
  readonly now: () => Date;
  /** Whether an error means that the database is away for the moment. */
  readonly isTransient: (error: unknown) => boolean;
  /** Does it as soon as the database is there. */
  readonly whileAway: <T>(what: () => Promise<T>) => Promise<T>;
}

/** A claimed run that is to be executed. */
export interface Execution {
  readonly run: Run;
  readonly thread: Thread;
  /** The lease's. */
  readonly token: string;
  /** In a process of its own. */
  readonly alone: boolean;
  /** It was let in although all slots are taken. */
  readonly isExtra: boolean;
}

/** What the attempt left when nothing of it runs or writes any more. */
interface AttemptEnded {
  readonly result: AttemptResult;
  readonly lastSequence: number;
  readonly endCheckpointId?: string;
  readonly state?: StateAtEnd;
  readonly deliveredAt?: Date;
}

/** One execution of a claimed run, from its placement in a child process until nothing of it can run or write. */
export interface Attempt {
  readonly run: Run;
  readonly token: string;
  /** Stops it for a stored cancel; the strongest action counts. Repeating it is harmless. */
  cancel(action: CancelAction, reason: string): void;
  /** Stops it at its next step boundary, to go on elsewhere. */
  drain(): void;
  /** Ends it at once: its lease is lost. */
  kill(): void;
  /** Resolves when it is in its process, or will never be. */
  readonly placed: Promise<void>;
  readonly ended: Promise<AttemptEnded>;
}

/** Whether it goes on from checkpoints of its own, else where it starts; and the checkpoint that it goes on from. */
interface Begin {
  readonly goesOn: boolean;
  readonly start: RunStart;
  /** An answer is looked at before it is taken: no attempt before this one has stored it. */
  readonly looksAtAnswer: boolean;
  readonly from: string | undefined;
}

/** A run that stops within this time says with its end that its cancel was delivered, and needs no decision for it. */
const deliveryMs = 50;

/** What went wrong before anything could be written; told when it can. */
type Failed = { readonly failure: unknown };

const failing = (failure: unknown): Failed => ({ failure });
const isFailed = (it: object): it is Failed => "failure" in it;

export function startAttempt(parts: AttemptParts, execution: Execution): Attempt {
  const { run, thread, token, alone, isExtra } = execution;
  const claimedAtMs = Date.now();
  let placed: PlacedAttempt | undefined;
  let stop: { by: "cancel" | "timeout"; action: CancelAction; reason: string } | undefined;
  let released: "drain" | "kill" | undefined;
  let timeout: NodeJS.Timeout | undefined;
  let deliveredAt: Date | undefined;
  let tellingDelivery: NodeJS.Timeout | undefined;
  let unstorable: RunError | undefined;
  let giveUpWriting: (() => void) | undefined;
  const hasSlot = Promise.withResolvers<void>();
  /** It is not to begin any more. */
  const left = Promise.withResolvers<void>();

  function request(wanted: NonNullable<typeof stop>): void {
    if (stop?.by === "cancel" && wanted.by === "timeout") return;
    stop = wanted;
    left.resolve();
    placed?.stop(wanted.action, wanted.reason);
  }

  async function execute(): Promise<AttemptEnded> {
    const position = parts.keptJournals.take(thread);
    const home = { journal: thread.journal, threadId: run.threadId, owner: run.owner, position };
    const mine = { stillMine: () => parts.stillMine(run, token), isHeld: () => parts.isHeld(claimedAtMs) };
    const [events, journal, given, start] = await Promise.all([
      parts.whileAway(() => parts.openEvents(run, thread, token)),
      parts.whileAway(() => parts.journal.writer({ ...home, runId: run.runId, token, ...mine })),
      whole().catch(failing),
      howToStart().catch(failing),
    ]);
    const items = parts.openItems(run);
    giveUpWriting = () => void Promise.all([events.close(), journal.close(), items.close()]);
    const over = await place(events, journal, items, given, start).catch(
      (error: unknown): AttemptOver => failed(error),
    );
    // From here on a stop or kill would hit whoever has the process now.
    placed = undefined;
    clearTimeout(timeout);
    clearTimeout(tellingDelivery);
    return conclude(over, events, journal, items);
  }

  /** What lies apart is not there any more only when somebody else has removed it. */
  async function whole(): Promise<Run> {
    if (run.givenApart === undefined) return run;
    const found = await parts.whileAway(() => parts.withGiven(run));
    if (found.givenApart !== undefined) throw new Error("what the run was given is not stored any more");
    return found;
  }

  /** Nobody else writes the thread's journal while the run has the turn, so that this may be asked before it is opened. */
  async function howToStart(): Promise<Omit<Begin, "from">> {
    const goesOn = run.attempt > 1 && (await parts.journal.hasCheckpoints(thread.journal, run.runId));
    const start = goesOn ? {} : await startOf(run.spec, (name) => parts.journal.checkpoint(thread.journal, name));
    return { goesOn, start, looksAtAnswer: await looksAtAnswer() };
  }

  async function looksAtAnswer(): Promise<boolean> {
    if (!run.spec.strictResume) return false;
    return run.attempt === 1 || !(await parts.journal.hasWritten(thread.journal, run.runId));
  }

  async function newest({ newestAtOpen }: JournalWriter): Promise<string | undefined> {
    if (newestAtOpen !== undefined) return newestAtOpen ?? undefined;
    return parts.journal.newest(thread.journal);
  }

  async function place(
    events: EventWriter,
    journal: JournalWriter,
    items: AttemptItems,
    given: Run | Failed,
    start: Omit<Begin, "from"> | Failed,
  ): Promise<AttemptOver> {
    if (isFailed(given)) throw given.failure;
    if (isFailed(start)) throw start.failure;
    const begin: Begin = { ...start, from: start.start.checkpointId ?? (await newest(journal)) };
    // Not waited for: it is stored together with the output that follows.
    events.appendSoon({ kind: "attempt", attempt: run.attempt, checkpointId: begin.from }).catch(outputFailed);
    const done = Promise.withResolvers<AttemptOver>();
    if (stop || released) return { how: "ended", end: { kind: stop ? "stopped" : "drained" } };
    const output = async (tuples: readonly OutputTuple[]) => {
      try {
        await events.append(tuples.map(toStoredEvent));
      } catch (error) {
        outputFailed(error);
        throw error;
      }
    };
    const hooks = {
      journal,
      items,
      output,
      delivered,
      over: done.resolve,
    };
    const exclusive = alone || parts.isDedicated(run.graph);
    const options = { owner: run.owner, exclusive, extra: isExtra };
    const attempt = attemptSpec(given, token, begin);
    for (;;) {
      placed = parts.host.place(attempt, hooks, options);
      if (placed) break;
      const startable = exclusive ? parts.host.untilStart({ exclusive }) : undefined;
      await Promise.race([startable, left.promise]);
      if (stop) return { how: "ended", end: { kind: "stopped" } };
      // No slot after all: it goes back to the queue.
      if (released || !startable) return { how: "ended", end: { kind: "drained" } };
    }
    hasSlot.resolve();
    watchTime();
    return done.promise;
  }

  /** It could not be begun. Only a database that is away, or a kill, is no fault of the run. */
  function failed(error: unknown): AttemptOver {
    if (released || parts.isTransient(error)) return { how: "ended", end: { kind: "drained" } };
    return { how: "crashed", blamed: false, error: errorReport(error) };
  }

  function outputFailed(error: unknown): void {
    // Somebody else has the run: what goes on here is for nothing.
    if (error instanceof FencedError) placed?.kill();
    // The run ends with this error: executed again, it would put out the same.
    else if (!parts.isTransient(error)) unstorable = errorReport(error);
  }

  function delivered(): void {
    const at = parts.now();
    deliveredAt = at;
    tellingDelivery = setTimeout(() => parts.delivered(run, token, at), deliveryMs);
  }

  function watchTime(): void {
    if (run.spec.timeoutMs === undefined) return;
    const left = run.startedAt!.getTime() + run.spec.timeoutMs - parts.now().getTime();
    timeout = setTimeout(
      () => request({ by: "timeout", action: "interrupt", reason: "the run's time was over" }),
      Math.max(0, Math.min(left, longestTimerMs)),
    );
  }

  async function conclude(
    over: AttemptOver,
    events: EventWriter,
    journal: JournalWriter,
    items: AttemptItems,
  ): Promise<AttemptEnded> {
    const [log, writer] = await Promise.all([events.close(), journal.close(), items.close()]);
    const clean = log.clean && writer.clean;
    const lastSequence = clean ? log.last : await parts.whileAway(() => parts.fence(run, thread, token));
    if (clean && writer.position) parts.keptJournals.put(thread, writer.position);
    const report = over.how === "ended" && clean ? over.end.state : undefined;
    const newestNow = () => parts.whileAway(() => parts.journal.newest(thread.journal));
    return {
      result: resultOf(over),
      lastSequence,
      endCheckpointId: report ? report.checkpointId : await newestNow(),
      state: report && toState(report),
      deliveredAt,
    };
  }

  function resultOf(over: AttemptOver): AttemptResult {
    const killed = over.how !== "ended";
    if (unstorable && !stop) return { kind: "error", error: unstorable };
    if (over.how === "ended" && over.end.kind === "success") return { kind: "success" };
    if (over.how === "ended" && !stop && (over.end.kind === "error" || over.end.kind === "refused")) {
      return { kind: over.end.kind, error: over.end.error! };
    }
    if (stop) return { kind: "stopped", by: stop.by, killed };
    if (over.how === "crashed") return { kind: "lost", runAlone: true, error: over.error };
    if (over.how === "lapsed") return { kind: "lost", runAlone: false };
    return { kind: "displaced", killed };
  }

  return {
    run,
    token,
    cancel: (action, reason) => request({ by: "cancel", action, reason }),
    drain() {
      released ??= "drain";
      left.resolve();
      placed?.drain();
    },
    kill() {
      released = "kill";
      left.resolve();
      placed?.kill();
      // Its end must not wait for a database that is away.
      giveUpWriting?.();
    },
    placed: hasSlot.promise,
    ended: execute().finally(hasSlot.resolve),
  };
}

function toStoredEvent([mode, name, namespace, json, after]: OutputTuple) {
  return { kind: "output", mode, name, namespace, json, ...(after && { after }) } as const;
}

export function toState(report: StateReport): StateAtEnd {
  return {
    checkpointId: report.checkpointId,
    values: report.values,
    next: report.next,
    interrupts: report.interrupts,
  };
}

/** What the child gets. An execution that goes on from its own checkpoints takes no input: it was consumed. */
function attemptSpec(run: Run, token: string, { goesOn, start, looksAtAnswer, from }: Begin): AttemptSpec {
  const { spec } = run;
  return {
    attemptId: token,
    runId: run.runId,
    threadId: run.threadId,
    assistantId: run.assistant.assistantId,
    graph: run.graph,
    attempt: run.attempt,
    isEmptyThread: from === undefined,
    input: goesOn ? undefined : spec.input,
    command: goesOn ? undefined : spec.command,
    strictResume: looksAtAnswer,
    ...start,
    ...underTheRun(run.assistant, spec),
    streamModes: spec.streamModes,
    streamSubgraphs: spec.streamSubgraphs,
    interruptBefore: spec.interruptBefore,
    interruptAfter: spec.interruptAfter,
    durability: spec.durability,
  };
}
