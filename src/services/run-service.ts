import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Payload, PayloadFormat } from "../../gen/reins/v1/payload_pb.ts";
import type { OnDisconnect } from "../../gen/reins/v1/run_pb.ts";
import * as pb from "../../gen/reins/v1/run_service_pb.ts";
import { identityOf, ownerOf } from "../access/identity.ts";
import { runNotFound } from "../domain/not-found.ts";
import { inGroups } from "../domain/pages-of.ts";
import type { CancelRuns } from "../domain/run/cancel-runs.ts";
import type { BatchItem, CreateBatch, NewBatch } from "../domain/run/create-batch.ts";
import type { CreateRun } from "../domain/run/create-run.ts";
import type { PreviewCancels } from "../domain/run/preview-cancels.ts";
import type { ReadRuns } from "../domain/run/read-runs.ts";
import type { RequestIds } from "../domain/run/request-ids.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Removal } from "../domain/threads.ts";
import type { Feed } from "../stream/event-hub.ts";
import type { Outcomes } from "../stream/outcomes.ts";
import type { NumberedEvent, TailOptions } from "../stream/tail.ts";
import type { ThreadPin } from "../stream/thread-pin.ts";
import type { Calls } from "./calls.ts";
import { cancelMany } from "./cancel-many.ts";
import { toRunEvent } from "./convert/event.ts";
import { type PayloadWriter, payloadWriter } from "./convert/payload.ts";
import { fromAction, fromStatuses, toOutcome, toRun, toRunWithoutSpec } from "./convert/run.ts";
import { fromStreamModes } from "./convert/spec.ts";
import { stateWriter, toInterrupts } from "./convert/thread.ts";
import { msOf } from "./convert/time.ts";
import { inMessages } from "./event-batches.ts";
import { newRun } from "./new-run.ts";
import { onRunExistsKey } from "./on-run-exists.ts";
import { runBytes, sizeIn } from "./page-bytes.ts";
import { refuseRepeatKey } from "./refuse-repeat.ts";
import { sightKey } from "./sight.ts";
import { stopperOf } from "./stopper.ts";
import type { OpenWatcher, Watcher } from "./watchers.ts";

export interface RunServiceParts {
  readonly createRun: CreateRun;
  readonly requestIds: Pick<RequestIds, "identify">;
  readonly createBatch: CreateBatch;
  readonly read: ReadRuns;
  readonly cancels: CancelRuns;
  readonly preview: PreviewCancels;
  readonly cancelLimit: number;
  readonly removal: Removal;
  readonly outcomes: Outcomes;
  /** Listens to a run that is about to be created. */
  readonly openFeed: (name: RunName) => Feed;
  readonly tail: (options: TailOptions) => AsyncGenerator<NumberedEvent[]>;
  /** The number of a run's last event before what it put out after a checkpoint; 0 when it has not made that. */
  readonly sequenceAt: (run: Run, checkpointId: string) => Promise<number>;
  readonly openWatcher: OpenWatcher;
  /** Keeps the thread of a stateless run for a call; see TemporaryThreads. */
  readonly pinThread: (name: RunName) => ThreadPin;
  readonly calls: Calls;
}

/** A handler converts, makes one domain call, and converts back. */
export function createRunService(parts: RunServiceParts): ServiceImpl<typeof pb.RunService> {
  const { read, outcomes } = parts;

  /** What an aborted call ends with says why it was aborted. */
  const endOf = (context: HandlerContext, error: unknown) =>
    context.signal.aborted ? parts.calls.abortError(context) : error;

  /** Waits in the caller's name: what its going aborts ends with the right error. */
  const inCall = <T>(context: HandlerContext, wait: () => Promise<T>): Promise<T> =>
    wait().catch((error: unknown) => Promise.reject(endOf(context, error)));

  /** What a run was given may have more bytes than a client takes, so that it is answered only if that was asked for. */
  async function told(run: Run, { includeInput, payloadFormat }: RunReading) {
    if (!includeInput) return toRun(run);
    const [whole] = await read.withGiven([run]);
    return toRun(whole!, payloadWriter(payloadFormat));
  }

  async function ending(run: Run, request: RunReading & { omitValues: boolean }) {
    const { values, question } = stateWriter(payloadWriter(request.payloadFormat), request.omitValues);
    const state = await read.endState(run);
    return {
      run: await told(run, request),
      values: state.values === undefined ? undefined : values?.(state.values),
      interrupts: toInterrupts(state.interrupts, question),
    };
  }

  /** The run, whose thread stays pinned for the call. */
  async function kept(pin: ThreadPin, run: Run): Promise<Run> {
    if (await pin.keep(run)) return run;
    throw runNotFound(run);
  }

  /** The watcher of the run, which exists now. A repeated request may have been done with another id than the one that was watched for. */
  async function watched(
    watcher: Watcher,
    context: HandlerContext,
    { onDisconnect }: { onDisconnect: OnDisconnect },
    { wanted, run }: { wanted: RunName; run: RunName },
  ): Promise<Watcher> {
    const isIts = wanted.runId === run.runId;
    if (!isIts) watcher.close();
    const its = isIts ? watcher : await parts.openWatcher(context, run, onDisconnect);
    its.runExists();
    return its;
  }

  async function* events(
    context: HandlerContext,
    request: { onDisconnect: OnDisconnect },
    name: RunName,
    start: (pin: ThreadPin) => Promise<TailOptions>,
    write: PayloadWriter,
  ) {
    let watcher = await parts.openWatcher(context, name, request.onDisconnect);
    const pin = parts.pinThread(name);
    try {
      const options = await start(pin);
      watcher = await watched(watcher, context, request, { wanted: name, run: options.run });
      let known = context.values.get(onRunExistsKey);
      for await (const batch of parts.tail(options)) {
        known?.(options.run);
        known = undefined;
        for (const some of inMessages(batch)) yield { events: some.map((event) => toRunEvent(event, write)) };
      }
    } catch (error) {
      throw endOf(context, error);
    } finally {
      pin.close();
      watcher.close();
    }
  }

  return {
    async createRun(request, context) {
      const run = await parts.createRun(newRun(context, request, "spec"));
      const payloadFormat = formatOf(request.spec!.input);
      return { run: await told(run, { payloadFormat, includeInput: request.includeInput }) };
    },

    async batchCreateRuns(request, context) {
      const runs = await parts.createBatch.create(await newBatch(context, request));
      const answer = (run: Run, { spec, includeInput }: pb.CreateRunRequest) =>
        includeInput || request.includeInput
          ? told(run, { includeInput: true, payloadFormat: formatOf(spec!.input) })
          : // A hundred specs without their input may still have too many bytes of metadata.
            toRunWithoutSpec(run);
      return { runs: await inGroups(runs, async (run, place) => answer(run, request.runs[place]!)) };
    },

    async waitRun(request, context) {
      const wanted = await parts.requestIds.identify(newRun(context, request.create!, "create.spec"));
      let watcher = await parts.openWatcher(context, wanted, request.onDisconnect);
      const pin = parts.pinThread(wanted);
      const listener = outcomes.listen(wanted);
      try {
        const created = await parts.createRun(wanted);
        watcher = await watched(watcher, context, request, { wanted, run: created });
        context.values.get(onRunExistsKey)?.(created);
        const run = (await inCall(context, () => listener.end(created, context.signal)))!;
        const includeInput = request.includeInput || request.create!.includeInput;
        return create(pb.WaitRunResponseSchema, await ending(run, { ...request, includeInput }));
      } finally {
        listener.close();
        pin.close();
        watcher.close();
      }
    },

    async *streamRun(request, context) {
      const wanted = await parts.requestIds.identify(newRun(context, request.create!, "create.spec"));
      // A repeated request finds a run that may have gone on by itself.
      const feed = wanted.requestId === undefined ? parts.openFeed(wanted) : undefined;
      const start = async () => {
        const run = await parts.createRun(wanted);
        return { run, afterSequence: 0, modes: [], signal: context.signal, feed };
      };
      try {
        yield* events(context, request, wanted, start, payloadWriter(request.payloadFormat));
      } finally {
        feed?.close();
      }
    },

    async getRun(request, context) {
      return { run: await told(await read.get(nameOf(context, request)), request) };
    },

    async listRuns(request, context) {
      const { threadId, statuses, metadata, pageSize: size, pageToken: token } = request;
      const filter = {
        owner: ownerOf(context),
        threadId: threadId.toLowerCase() || undefined,
        statuses: fromStatuses(statuses),
        metadata,
      };
      const sizeOf = sizeIn(context, runBytes(request.includeInput));
      const page = await read.list(filter, { size, token, sizeOf, inSight: context.values.get(sightKey).inSight });
      const write = request.includeInput ? payloadWriter(request.payloadFormat) : undefined;
      const found = request.includeInput ? await read.withGiven(page.runs) : page.runs;
      const runs = found.map((run) => (request.omitSpec ? toRunWithoutSpec(run) : toRun(run, write)));
      return { runs, nextPageToken: page.nextPageToken };
    },

    async deleteRun(request, context) {
      await inCall(context, () =>
        parts.removal.deleteRun(nameOf(context, request), stopperOf(context), context.signal),
      );
      return {};
    },

    async joinRun(request, context) {
      const name = nameOf(context, request);
      const found = await read.get(name);
      const watcher = await parts.openWatcher(context, name, request.onDisconnect);
      const pin = parts.pinThread(name);
      try {
        watcher.runExists();
        await kept(pin, found);
        context.values.get(onRunExistsKey)?.(found);
        const run = await inCall(context, () => outcomes.wait(found, context.signal, msOf(request.timeout)));
        if (run) return create(pb.JoinRunResponseSchema, await ending(run, request));
        return { run: await told(await read.latest(name), request) };
      } finally {
        pin.close();
        watcher.close();
      }
    },

    joinRunStream(request, context) {
      const name = nameOf(context, request);
      const checkpointId = request.afterCheckpointId.toLowerCase();
      const start = async (pin: ThreadPin) => {
        const run = await kept(pin, await read.get(name));
        const after = checkpointId === "" ? Number(request.afterSequence) : await parts.sequenceAt(run, checkpointId);
        return {
          run,
          afterSequence: request.fromNow ? ("now" as const) : after,
          names: checkpointId !== "",
          modes: fromStreamModes(request.streamModes),
          signal: context.signal,
        };
      };
      return events(context, request, name, start, payloadWriter(request.payloadFormat));
    },

    async cancelRun(request, context) {
      const name = nameOf(context, request);
      const { reason, wait, waitTimeout } = request;
      const refuseRepeat = context.values.get(refuseRepeatKey);
      const { actor } = identityOf(context);
      const wanted = {
        action: fromAction(request.action),
        reason,
        requestedBy: "client",
        actor,
        refuseRepeat,
      } as const;
      const listener = wait ? outcomes.listen(name) : undefined;
      let run: Run;
      try {
        run = await parts.cancels.cancel(name, wanted);
        context.values.get(onRunExistsKey)?.(name);
        if (listener) {
          const asked = run;
          const over = await inCall(context, () => listener.end(asked, context.signal, msOf(waitTimeout)));
          run = over ?? (await read.latest(name));
        }
      } finally {
        listener?.close();
      }
      return { outcome: toOutcome(run.cancellation?.outcome ?? "requested"), run: await told(run, request) };
    },

    cancelRuns: (request, context) => inCall(context, () => cancelMany(parts, identityOf(context), request, context)),
  };
}

/** How a request wants runs to be answered. */
interface RunReading {
  readonly payloadFormat: PayloadFormat;
  readonly includeInput: boolean;
}

/** An answer that echoes the request does so in the encoding that the request used. */
const formatOf = (payload: Payload | undefined): PayloadFormat =>
  payload?.encoding.case === "json" ? PayloadFormat.JSON : PayloadFormat.VALUE;

async function newBatch(context: HandlerContext, { runs, requestId }: pb.BatchCreateRunsRequest): Promise<NewBatch> {
  const items = await inGroups(runs, async (item, place): Promise<BatchItem> => {
    const { threadId: thread_id, runId: run_id, requestId: request_id } = item;
    const ids = Object.entries({ thread_id, run_id, request_id }).flatMap(([name, id]) => (id === "" ? [] : [name]));
    return { ...newRun(context, { ...item, threadId: "", runId: "" }, `runs[${place}].spec`, place), ids };
  });
  return { owner: ownerOf(context), requestId, items };
}

const nameOf = (context: HandlerContext, request: { threadId: string; runId: string }): RunName => ({
  owner: ownerOf(context),
  threadId: request.threadId.toLowerCase(),
  runId: request.runId.toLowerCase(),
});
