import type { JournalPort } from "../../checkpoints/journal-port.ts";
import { createJournalSaver, type JournalSaver } from "../../checkpoints/journal-saver.ts";
import { rememberNewest } from "../../checkpoints/remember-newest.ts";
import { WaitingTasks } from "../../checkpoints/waiting-tasks.ts";
import { refusalOfAnswer } from "../../domain/run/open-questions.ts";
import type { CancelAction } from "../../domain/transitions.ts";
import type { AttemptEnd, AttemptSpec, StateReport } from "../protocol.ts";
import { AbortError } from "./abort-error.ts";
import { Activity } from "./activity.ts";
import { type AttemptContext, attemptContext } from "./attempt-context.ts";
import { describeError } from "./describe-error.ts";
import type { GraphRegistry, OpenGraph } from "./graph-registry.ts";
import { createGraphStore, type GraphStore } from "./graph-store.ts";
import type { RunControl } from "./graph-types.ts";
import { OutputWindow } from "./output-window.ts";
import type { ParentChannel } from "./parent-channel.ts";
import { pausesBelow, runInput, runOptions } from "./run-config.ts";
import { reportState } from "./state-report.ts";
import { StreamOutput } from "./stream-output.ts";

/** The name is that of LangGraph's own error for it, by which its clients know it. */
class AnswerRefused extends Error {
  override readonly name = "UnknownInterruptError";
}

/** What an attempt needs of its process. */
export interface AttemptHome {
  readonly channel: ParentChannel;
  readonly registry: GraphRegistry;
}

/**
 * One execution of a run. It ends, whatever its graph does, in this order: the stream is over; every node function has settled
 * and every loop has ended; saver and store are quiet and closed; the end is reported. Nothing of the attempt happens after that.
 */
export class Attempt {
  readonly #spec: AttemptSpec;
  readonly #home: AttemptHome;
  readonly #controller = new AbortController();
  readonly #window: OutputWindow;
  readonly #journal: JournalPort;
  readonly #activity: Activity;
  #control: RunControl | undefined;
  #drain = false;

  constructor(spec: AttemptSpec, home: AttemptHome) {
    this.#spec = spec;
    this.#home = home;
    const { attemptId } = spec;
    this.#journal = rememberNewest(home.channel.journal(attemptId), spec.isEmptyThread ? null : undefined);
    this.#window = new OutputWindow((event) => home.channel.output(attemptId, event), this.#controller.signal);
    // Nodes wait to begin while their run's output is not stored: LangGraph itself runs on whether it is read or not.
    this.#activity = new Activity(() => this.#window.room());
  }

  /** Node functions under way. */
  get running(): number {
    return this.#activity.functions;
  }

  abort(action: CancelAction, reason: string): void {
    this.#controller.abort(new AbortError(action, reason));
  }

  /** Stops at the next step boundary. */
  drain(): void {
    this.#drain = true;
    this.#control?.requestDrain("drain");
  }

  stored(count: number): void {
    this.#window.stored(count);
  }

  /** Executes the run to its end and reports it. Never rejects. */
  async execute(): Promise<void> {
    const { attemptId, runId } = this.#spec;
    const context: AttemptContext = { attemptId, runId, activity: this.#activity };
    let open: OpenGraph | undefined;
    let saver: JournalSaver | undefined;
    let store: GraphStore | undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      await attemptContext.run(context, async () => {
        const options = runOptions(this.#spec, this.#controller.signal);
        open = await this.#activity.run(() => this.#home.registry.open(this.#spec.graph, options));
        context.pauses = pausesBelow(this.#spec, open.graph);
        saver = this.#saver(open);
        store = createGraphStore(open.instance.checkpoint, this.#home.channel.items(attemptId));
        await this.#stream(open, saver, store, options);
      });
    } catch (error) {
      failure = { error };
    }
    await this.#activity.settle();
    await store?.quiet();
    store?.close();
    await saver?.quiet();
    saver?.close();
    failure ??= saver?.failure;
    const state = open && (await this.#finalState(open));
    this.#home.channel.send({ type: "end", attemptId, end: { ...this.#outcome(failure), ...(state && { state }) } });
  }

  async #stream(
    { graph, instance }: OpenGraph,
    saver: JournalSaver,
    store: GraphStore,
    options: ReturnType<typeof runOptions>,
  ): Promise<void> {
    this.#control = new instance.langgraph.RunControl();
    if (this.#drain) this.#control.requestDrain("drain");
    await this.#requireCheckpoint(saver);
    await this.#requireOpenQuestion({ graph, instance });
    this.#controller.signal.throwIfAborted();
    graph.checkpointer = saver;
    // As on the LangGraph Platform it takes the place of a store that the graph was compiled with.
    graph.store = store;
    const output = new StreamOutput(this.#spec.streamModes);
    const input = runInput(this.#spec, instance.langgraph);
    const how = { ...options, control: this.#control };
    const events = this.#spec.streamModes.includes("events")
      ? output.callbackEvents(graph.streamEvents(input, { ...how, version: "v2" }), this.#spec.runId)
      : output.chunks(await graph.stream(input, how));
    for await (const some of events) {
      for (const event of some) this.#window.push(event);
      await this.#window.room();
    }
  }

  /** LangGraph starts silently from an empty state when a checkpoint does not exist. */
  async #requireCheckpoint(saver: JournalSaver): Promise<void> {
    const { threadId, checkpointId, checkpointMap } = this.#spec;
    const needed = { ...checkpointMap, ...(checkpointId !== undefined && { "": checkpointId }) };
    for (const [checkpoint_ns, checkpoint_id] of Object.entries(needed)) {
      const configurable = { thread_id: threadId, checkpoint_ns, checkpoint_id };
      if ((await saver.getTuple({ configurable })) === undefined) {
        throw Object.assign(new Error(`Thread ${threadId} has no checkpoint ${checkpoint_id}.`), {
          name: "CheckpointNotFound",
        });
      }
    }
  }

  /** Looked at before anything of the attempt is written, so that whatever is refused has left the thread as it was. */
  async #requireOpenQuestion(open: OpenGraph): Promise<void> {
    const { command, strictResume, checkpointId } = this.#spec;
    if (!strictResume || command?.resume === undefined || JSON.parse(command.resume) === null) return;
    const newest = await this.#readState(open, { omitValues: true });
    const isOlder = checkpointId !== undefined && checkpointId !== newest.checkpointId;
    // A checkpoint that the thread has gone on from asks all of its questions anew.
    const asked = isOlder
      ? (await this.#readState(open, { checkpointId, omitValues: true })).tasks.flatMap((task) => task.interrupts)
      : newest.interrupts;
    const refusal = refusalOfAnswer(
      command.resume,
      asked.map(({ id }) => id),
    );
    if (refusal !== undefined) throw new AnswerRefused(`spec.command.resume: ${refusal}`);
  }

  #saver({ instance }: OpenGraph): JournalSaver {
    const { runId } = this.#spec;
    const { metadata } = runOptions(this.#spec, this.#controller.signal);
    return createJournalSaver(instance.checkpoint, this.#journal, {
      runId,
      metadata,
      signal: this.#controller.signal,
      isBehind: this.#spec.durability !== "sync",
      // LangGraph notices a failed write only at the end of the run; nothing more is to be started until then.
      onFailed: (error) => this.#controller.abort(error),
    });
  }

  async #finalState(open: OpenGraph): Promise<StateReport | undefined> {
    return this.#readState(open, { omitValues: false }).catch(() => undefined);
  }

  /** With a saver of its own: that of the run is closed at the end, and keeps what it has read. */
  async #readState(
    { graph, instance }: OpenGraph,
    { checkpointId, omitValues }: { checkpointId?: string; omitValues: boolean },
  ): Promise<StateReport> {
    const { threadId } = this.#spec;
    const waiting = new WaitingTasks();
    const reader = createJournalSaver(instance.checkpoint, this.#journal, { waiting });
    try {
      const fresh = graph.withConfig({});
      fresh.checkpointer = reader;
      const at = {
        thread_id: threadId,
        checkpoint_ns: "",
        ...(checkpointId !== undefined && { checkpoint_id: checkpointId }),
      };
      return reportState(await fresh.getState({ configurable: at }), { omitValues, waiting });
    } finally {
      reader.close();
    }
  }

  #outcome(failure: { readonly error: unknown } | undefined): AttemptEnd {
    if (failure === undefined) return { kind: "success" };
    const { aborted, reason } = this.#controller.signal;
    // What a stream throws after an abort may have any name; the signal knows why.
    if (aborted && reason instanceof AbortError) return { kind: "stopped" };
    const error = describeError(aborted ? reason : failure.error);
    if (failure.error instanceof AnswerRefused && !aborted) return { kind: "refused", error };
    return error.name === "GraphDrained" ? { kind: "drained" } : { kind: "error", error };
  }
}
