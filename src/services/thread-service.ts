import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { PayloadFormat } from "../../gen/reins/v1/payload_pb.ts";
import * as pb from "../../gen/reins/v1/thread_service_pb.ts";
import { identityOf, ownerOf } from "../access/identity.ts";
import type { CopyThread } from "../domain/copy-thread.ts";
import { newId } from "../domain/ids.ts";
import type { ThreadFilter } from "../domain/ports.ts";
import type { PruneThreads } from "../domain/prune-threads.ts";
import type { ReadThreads } from "../domain/read-threads.ts";
import type { SearchThreads } from "../domain/search-threads.ts";
import type { CreateThread, Removal } from "../domain/threads.ts";
import type { UpdateState } from "../domain/update-state.ts";
import type { UpdateThread } from "../domain/update-thread.ts";
import type { StateReport } from "../worker/protocol.ts";
import type { Calls } from "./calls.ts";
import { payloadText, payloadWriter } from "./convert/payload.ts";
import { fromCheckpoint, toCheckpoint } from "./convert/spec.ts";
import { stateWriter, toThread, toThreadState } from "./convert/thread.ts";
import { fromThreadFilter, fromThreadOrder } from "./convert/thread-query.ts";
import { msOf } from "./convert/time.ts";
import { sizeIn, threadBytes } from "./page-bytes.ts";
import { sightKey } from "./sight.ts";
import { stopperOf } from "./stopper.ts";

export interface ThreadServiceParts {
  readonly createThread: CreateThread;
  readonly updateThread: UpdateThread;
  readonly searchThreads: SearchThreads;
  readonly copyThread: CopyThread;
  readonly pruneThreads: PruneThreads;
  readonly read: ReadThreads<StateReport>;
  readonly removal: Removal;
  readonly updateState: UpdateState;
  readonly calls: Calls;
}

const defaultHistory = 10;

/** A handler converts, makes one domain call, and converts back. */
export function createThreadService(parts: ThreadServiceParts): ServiceImpl<typeof pb.ThreadService> {
  const { read } = parts;
  return {
    async createThread(request, context) {
      const thread = await parts.createThread({
        owner: ownerOf(context),
        threadId: request.threadId.toLowerCase() || newId(),
        metadata: request.metadata ?? {},
        ifExists: request.ifExists === pb.IfExists.DO_NOTHING ? "do_nothing" : "raise",
        ttlMs: msOf(request.ttl),
      });
      return { thread: toThread(thread, stateWriter(payloadWriter(0), false)) };
    },

    async getThread(request, context) {
      const thread = await read.get(nameOf(context, request));
      return { thread: toThread(thread, writer(request)) };
    },

    async updateThread(request, context) {
      const thread = await parts.updateThread({
        ...nameOf(context, request),
        metadata: request.metadata ?? {},
        removeMetadata: request.removeMetadata,
        ttlMs: msOf(request.ttl),
      });
      return { thread: toThread(thread, writer(request)) };
    },

    async searchThreads(request, context) {
      const { pageSize: size, pageToken: token } = request;
      const order = fromThreadOrder(request.sortBy, request.sortOrder);
      const sizeOf = sizeIn(context, threadBytes(request.omitValues));
      const filter = filterOf(context, request);
      const page = await parts.searchThreads.search(filter, order, { size, token, sizeOf });
      const write = writer(request);
      const threads = page.threads.map((thread) => toThread(thread, write));
      return { threads, nextPageToken: page.nextPageToken };
    },

    async countThreads(request, context) {
      const filter = filterOf(context, request);
      return { count: BigInt(await parts.searchThreads.count(filter)) };
    },

    async copyThread(request, context) {
      const [metadata] = context.values.get(sightKey).born ?? [];
      const newThreadId = request.newThreadId.toLowerCase() || newId();
      const thread = await parts.copyThread(nameOf(context, request), newThreadId, metadata);
      return { thread: toThread(thread, writer(request)) };
    },

    async pruneThreads(request, context) {
      const ids = [...new Set(request.threadIds.map((id) => id.toLowerCase()))];
      const strategy = request.strategy === pb.PruneStrategy.DELETE ? "delete" : "keep_latest";
      try {
        const { pruned, busy } = await parts.pruneThreads(ownerOf(context), ids, strategy, context.signal);
        return { prunedThreadIds: [...pruned], busyThreadIds: [...busy] };
      } catch (error) {
        throw context.signal.aborted ? parts.calls.abortError(context) : error;
      }
    },

    async deleteThread(request, context) {
      try {
        await parts.removal.deleteThread(nameOf(context, request), stopperOf(context), context.signal);
        return {};
      } catch (error) {
        throw context.signal.aborted ? parts.calls.abortError(context) : error;
      }
    },

    async getThreadState(request, context) {
      const state = await read.state(nameOf(context, request), {
        checkpointId: request.checkpointId.toLowerCase() || undefined,
        checkpoint: request.checkpoint && fromCheckpoint(request.checkpoint),
        subgraphs: request.subgraphs,
        omitValues: request.omitValues,
      });
      return { state: toThreadState(state, writer(request)) };
    },

    async updateThreadState(request, context) {
      const checkpoint = await parts.updateState({
        ...nameOf(context, request),
        values: payloadText(request.values, "values"),
        asNode: request.asNode || undefined,
        checkpoint: request.checkpoint && fromCheckpoint(request.checkpoint),
        assistantId: request.assistantId || undefined,
        metadata: request.metadata ?? {},
        actor: identityOf(context).actor,
      });
      return { checkpoint: toCheckpoint(checkpoint) };
    },

    async listThreadHistory(request, context) {
      const states = await read.history(nameOf(context, request), {
        limit: request.limit || defaultHistory,
        beforeCheckpointId: request.beforeCheckpointId.toLowerCase() || undefined,
        checkpointNs: request.checkpointNs || undefined,
        metadata: request.metadata,
        omitValues: request.omitValues,
      });
      const write = writer(request);
      return { states: states.map((state) => toThreadState(state, write)) };
    },
  };
}

/** With what the caller's sight is limited to. */
const filterOf = (context: HandlerContext, { filter }: { filter?: pb.ThreadFilter }): ThreadFilter => ({
  ...fromThreadFilter(ownerOf(context), filter),
  within: context.values.get(sightKey).within,
});

const nameOf = (context: HandlerContext, request: { threadId: string }) => ({
  owner: ownerOf(context),
  threadId: request.threadId.toLowerCase(),
});

const writer = (request: { payloadFormat: PayloadFormat; omitValues: boolean }) =>
  stateWriter(payloadWriter(request.payloadFormat), request.omitValues);
