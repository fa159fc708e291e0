import type { JsonObject } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as pb from "../../../gen/reins/v1/thread_service_pb.ts";
import { makersField } from "../../access/langgraph/auth-file.ts";
import { type Judge, metadataOf } from "../../access/langgraph/judge.ts";
import { isDomainError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { fromThreadFilter } from "../convert/thread-query.ts";
import { sightKey } from "../sight.ts";
import { judged } from "./judged.ts";
import { checkAssistant } from "./judged-assistants.ts";

type Threads = ServiceImpl<typeof pb.ThreadService>;

/** The handlers of threads, which ask an auth file what its users may do. */
export function judgedThreads(threads: Threads, judge: Judge): Threads {
  /** The filter of a search or a count, which the file may change, and the context with what it is limited to. */
  async function limited(
    context: HandlerContext,
    filter: pb.ThreadFilter | undefined,
    limit: number | undefined,
  ): Promise<pb.ThreadFilter | undefined> {
    const { threadIds: ids, metadata, values, statuses } = fromThreadFilter("", filter);
    const value = { metadata, values, ids, status: statuses?.[0], limit, offset: 0 };
    const ruling = await judge.rule(context, "threads:search", { value });
    context.values.set(sightKey, { within: ruling.within });
    const wanted = ruling.value.metadata as JsonObject | undefined;
    if (!wanted) return filter;
    return { ...(filter ?? emptyFilter), metadata: wanted };
  }

  const read = (context: HandlerContext, { threadId }: { threadId: string }) =>
    judge.onThread(context, "threads:read", threadId);

  return judged(pb.ThreadService, threads, {
    async createThread(request, context) {
      const threadId = request.threadId.toLowerCase() || newId();
      const mayBeThere = request.ifExists === pb.IfExists.DO_NOTHING;
      const value = {
        thread_id: threadId,
        metadata: request.metadata ?? {},
        if_exists: mayBeThere ? "do_nothing" : "raise",
      };
      const ruling = await judge.rule(context, "threads:create", { value });
      const wanted = { ...request, threadId, metadata: metadataOf(ruling) as JsonObject };
      if (!mayBeThere || ruling.within.length === 0) return threads.createThread(wanted, context);
      try {
        return await threads.createThread({ ...wanted, ifExists: pb.IfExists.RAISE }, context);
      } catch (error) {
        const isThere = isDomainError(error, "THREAD_EXISTS");
        if (!isThere || !(await judge.isWithin(context, threadId, ruling.within))) throw error;
        return threads.createThread(wanted, context);
      }
    },

    async getThread(request, context) {
      return threads.getThread(request, (await read(context, request)).context);
    },

    async updateThread(request, context) {
      const { metadata } = request;
      const ruling = await judge.onThread(context, "threads:update", request.threadId, { metadata });
      const changed = ruling.value.metadata && metadataOf({ ...ruling, stamp: {} });
      const removeMetadata = request.removeMetadata.filter((name) => name !== makersField);
      return threads.updateThread({ ...request, metadata: changed as JsonObject, removeMetadata }, ruling.context);
    },

    async searchThreads(request, context) {
      const filter = await limited(context, request.filter, request.pageSize || undefined);
      return threads.searchThreads({ ...request, filter }, context);
    },

    async countThreads(request, context) {
      return threads.countThreads({ ...request, filter: await limited(context, request.filter, undefined) }, context);
    },

    async copyThread(request, context) {
      const source = await read(context, request);
      const newThreadId = request.newThreadId.toLowerCase() || newId();
      const metadata = await judge.threadMetadata(source.context, request.threadId);
      if (metadata) {
        const value = { thread_id: newThreadId, metadata };
        const ruling = await judge.rule(context, "threads:create", { value });
        source.context.values.set(sightKey, { born: [metadataOf(ruling)] });
      }
      return threads.copyThread({ ...request, newThreadId }, source.context);
    },

    async pruneThreads(request, context) {
      const threadIds = await judge.onThreads(context, "threads:delete", request.threadIds);
      return threads.pruneThreads({ ...request, threadIds }, context);
    },

    async deleteThread(request, context) {
      const ruling = await judge.onThread(context, "threads:delete", request.threadId);
      return threads.deleteThread(request, ruling.context);
    },

    async getThreadState(request, context) {
      return threads.getThreadState(request, (await read(context, request)).context);
    },

    async updateThreadState(request, context) {
      const ruling = await judge.onThread(context, "threads:update", request.threadId);
      if (request.assistantId !== "") await checkAssistant(judge, ruling.context, request.assistantId);
      return threads.updateThreadState(request, ruling.context);
    },

    async listThreadHistory(request, context) {
      return threads.listThreadHistory(request, (await read(context, request)).context);
    },
  });
}

const emptyFilter = {
  $typeName: "reins.v1.ThreadFilter",
  threadIds: [],
  statuses: [],
  graphId: "",
  assistantId: "",
  exclude: [],
} as const satisfies Partial<pb.ThreadFilter> as unknown as pb.ThreadFilter;
