import type { ThreadStatus } from "../../../gen/reins/v1/thread_pb.ts";
import * as pb from "../../../gen/reins/v1/thread_service_pb.ts";
import type { ThreadFilter, ThreadOrder } from "../../domain/ports.ts";
import { nameOf } from "./spec.ts";
import { threadStatusNumbers } from "./thread.ts";

const orders: Record<ThreadOrder["by"], pb.ThreadSortBy> = {
  created_at: pb.ThreadSortBy.CREATED_AT,
  updated_at: pb.ThreadSortBy.UPDATED_AT,
  thread_id: pb.ThreadSortBy.THREAD_ID,
  status: pb.ThreadSortBy.STATUS,
};

export const fromThreadOrder = (by: pb.ThreadSortBy, order: pb.SortOrder): ThreadOrder => ({
  by: nameOf(orders, by) ?? "created_at",
  descending: order !== pb.SortOrder.ASCENDING,
});

/** What is empty says nothing, and is the same as what is absent. */
export const fromThreadFilter = (owner: string, filter: pb.ThreadFilter | undefined): ThreadFilter => ({
  owner,
  threadIds: unlessEmpty(filter?.threadIds.map((id) => id.toLowerCase())),
  metadata: unlessEmpty(filter?.metadata),
  values: unlessEmpty(filter?.values),
  statuses: unlessEmpty(fromStatuses(filter?.statuses ?? [])),
  graph: filter?.graphId || undefined,
  assistantId: filter?.assistantId.toLowerCase() || undefined,
  exclude: unlessEmpty(
    filter?.exclude.map(({ metadata, graphId, assistantId }) => ({
      metadata: unlessEmpty(metadata),
      graph: graphId || undefined,
      assistantId: assistantId.toLowerCase() || undefined,
    })),
  ),
});

const fromStatuses = (values: readonly ThreadStatus[]) =>
  values.map((value) => nameOf(threadStatusNumbers, value)).filter((status) => status !== undefined);

const unlessEmpty = <T extends object>(all: T | undefined): T | undefined =>
  all && Object.keys(all).length > 0 ? all : undefined;
