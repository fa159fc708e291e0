import type { Collection, Filter } from "mongodb";
import type { RunFilter, RunPosition, RunStore } from "../domain/ports.ts";
import type { Run } from "../domain/run.ts";
import { filterTokens } from "../domain/search-tokens.ts";
import {
  livePhases,
  liveStatuses,
  positionOf,
  positionsOf,
  type RunDocument,
  threadKey,
  timePosition,
  toRun,
} from "./run-document.ts";
import { newestInWindows } from "./time-windows.ts";
import { allTime, hasTokens, type TimeWindow } from "./timed-tokens.ts";

/** Runs by the page, newest first. */
export function createRunLists(runs: Collection<RunDocument>, now: () => Date): Pick<RunStore, "list" | "live"> {
  const find = (filter: Filter<RunDocument>, limit: number): Promise<RunDocument[]> =>
    runs.find(filter).sort({ position: -1 }).limit(limit).toArray();

  /** One page of what was created in the window and stands before `after`. */
  async function within(filter: RunFilter, window: TimeWindow, limit: number, after?: RunPosition) {
    const { owner, threadId, statuses = [], metadata = {} } = filter;
    const position = positionsIn(owner, window, after);
    const tokens = tokensFilter(owner, metadata, window);
    // A forbidden id has no position. A run that is being rolled back stays visible until it is gone.
    const status = statuses.length > 0 ? { status: { $in: [...statuses] } } : {};
    if (threadId !== undefined) {
      // Index: thread_runs_by_time.
      return find({ thread_id: threadKey({ owner, threadId }), position, ...status, ...tokens }, limit);
    }
    // Index: runs_by_metadata. The owner is in the tokens, too; they stand first, since an embedded engine goes by what does.
    if (tokens.tokens) return find({ ...tokens, position, ...status }, limit);
    // Index: runs_by_time.
    if (statuses.length === 0) return find({ position, owner }, limit);
    // Index: runs_by_status.
    return newest(await Promise.all(statuses.map((one) => find({ owner, status: one, position }, limit))), limit);
  }

  return {
    async list(filter, { limit, after }) {
      // The runs of one thread are few enough.
      if (filter.threadId !== undefined) return (await within(filter, allTime, limit, after)).map(toRun);
      const start = (after?.createdAt ?? now()).getTime();
      const found = await newestInWindows({ start, before: after && start + 1 }, limit, (window, rest) =>
        within(filter, window, rest, after),
      );
      return found.map(toRun);
    },

    /** Index: waiting_of_thread, or runs_by_status; with metadata all live runs are looked at. */
    async live({ owner, threadId, status, metadata = {}, createdBefore }, limit, after): Promise<Run[]> {
      const statuses = status === "all" ? liveStatuses : [status];
      const tokens = tokensFilter(owner, metadata, allTime);
      const bounds = [
        positionsOf(owner).last,
        ...(after ? [positionOf(owner, after.createdAt, after.runId)] : []),
        ...(createdBefore ? [timePosition(owner, createdBefore.getTime())] : []),
      ];
      const position = { $gte: positionsOf(owner).first, $lt: bounds.sort()[0]! };
      if (threadId === undefined) {
        const found = await Promise.all(
          // Whatever else is asked for, an embedded engine finds the live ones by their status, which stands first.
          statuses.map((one) => find({ status: one, owner, position, ...tokens }, limit)),
        );
        return newest(found, limit).map(toRun);
      }
      const ofThread = { thread_id: threadKey({ owner, threadId }), phase: { $in: [...livePhases] }, ...tokens };
      const live = (await runs.find(ofThread).toArray()).filter(
        (run) => statuses.includes(run.status) && run.position < position.$lt,
      );
      return newest([live], limit).map(toRun);
    },
  };
}

const newest = (found: readonly RunDocument[][], limit: number): RunDocument[] =>
  found
    .flat()
    .sort((a, b) => (a.position < b.position ? 1 : -1))
    .slice(0, limit);

function positionsIn(owner: string, { from, before }: TimeWindow, after?: RunPosition) {
  const { first, last } = positionsOf(owner);
  const ends = [
    before === undefined ? last : timePosition(owner, before),
    ...(after ? [positionOf(owner, after.createdAt, after.runId)] : []),
  ];
  return { $gte: from === 0 ? first : timePosition(owner, from), $lt: ends.sort()[0]! };
}

/** Runs whose metadata has these fields with these values. */
function tokensFilter(
  owner: string,
  metadata: Readonly<Record<string, unknown>>,
  window: TimeWindow,
): Filter<RunDocument> {
  const tokens = hasTokens(filterTokens(owner, metadata), window);
  return tokens ? ({ tokens } as unknown as Filter<RunDocument>) : {};
}
