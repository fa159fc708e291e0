import * as pb from "../../../gen/reins/v1/thread_service_pb.ts";
import type { ThreadFilter, ThreadOrder } from "../../domain/stores.ts";
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

/** Lists and objects that are empty say nothing. */
export const fromThreadFilter = (owner: string, filter: pb.ThreadFilter | undefined): ThreadFilter => ({
  owner,
  threadIds: filter?.threadIds.map((id) => id.toLowerCase()),
  metadata: filter?.metadata,
  values: filter?.values,
  statuses: filter?.statuses.map((status) => nameOf(threadStatusNumbers, status)).filter((one) => one !== undefined),
});
