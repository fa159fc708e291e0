import type { Collection, Filter } from "mongodb";
import type { Run } from "../domain/run.ts";
import { filterTokens } from "../domain/search-tokens.ts";
import type { RunFilter, RunStore } from "../domain/stores.ts";
import type { Phase, RunStatus } from "../domain/transitions.ts";
import { positionOf, positionsOf, type RunDocument, threadKey, timePosition, toRun } from "./run-document.ts";

const liveStatuses: readonly RunStatus[] = ["pending", "running"];
const livePhases: readonly Phase[] = ["waiting", "running", "stopping", "rolling_back"];

/**
 * How far back in time the first look of a list goes, and how much further each next one does; after the last one there is
 * no bound. The embedded engines collect all that a filter names before they sort it and take the first: without a window
 * each page would read every run that there is.
 */
const firstWindowMs = 2_000;
const windowGrowth = 8;
const lastWindowMs = 60 * 24 * 60 * 60 * 1000;

type Positions = { readonly $gte: string; readonly $lt: string };

/** Runs by the page, newest first. */
export function createRunLists(runs: Collection<RunDocument>, now: () => Date): Pick<RunStore, "list" | "live"> {
  const find = (filter: Filter<RunDocument>, limit: number): Promise<RunDocument[]> =>
    runs.find(filter).sort({ position: -1 }).limit(limit).toArray();

  /** One page within these positions. */
  async function within(filter: RunFilter, position: Positions, limit: number): Promise<RunDocument[]> {
    const { owner, threadId, statuses = [], metadata = {} } = filter;
    const tokens = tokensFilter(owner, metadata);
    // A forbidden id has no position. A run that is being rolled back stays visible until it is gone.
    const status = statuses.length > 0 ? { status: { $in: [...statuses] } } : {};
    if (threadId !== undefined) {
      // Index: thread_runs_by_time.
      return find({ thread_id: threadKey({ owner, threadId }), position, ...status, ...tokens }, limit);
    }
    // Index: runs_by_metadata. The owner is in the tokens, too.
    if (tokens.tokens) return find({ ...tokens, position, ...status }, limit);
    // Index: runs_by_time.
    if (statuses.length === 0) return find({ position, owner }, limit);
    // Index: runs_by_status.
    return newest(await Promise.all(statuses.map((one) => find({ owner, status: one, position }, limit))), limit);
  }

  return {
    async list(filter, { limit, after }) {
      const all = positionsOf(filter.owner);
      let $lt = after ? positionOf(filter.owner, after.createdAt, after.runId) : all.last;
      // The runs of one thread are few enough.
      if (filter.threadId !== undefined) return (await within(filter, { $gte: all.first, $lt }, limit)).map(toRun);
      const found: RunDocument[] = [];
      let from = (after?.createdAt ?? now()).getTime();
      for (let width = firstWindowMs; ; width *= windowGrowth) {
        from -= width;
        const $gte = width > lastWindowMs ? all.first : timePosition(filter.owner, from);
        found.push(...(await within(filter, { $gte, $lt }, limit - found.length)));
        if (found.length >= limit || $gte === all.first) return found.map(toRun);
        $lt = $gte;
      }
    },

    /** Index: waiting_of_thread, or runs_by_status. */
    async live({ owner, threadId, status, metadata = {}, createdBefore }, limit, after): Promise<Run[]> {
      const statuses = status === "all" ? liveStatuses : [status];
      const tokens = tokensFilter(owner, metadata);
      const bounds = [
        positionsOf(owner).last,
        ...(after ? [positionOf(owner, after.createdAt, after.runId)] : []),
        ...(createdBefore ? [timePosition(owner, createdBefore.getTime())] : []),
      ];
      const position = { $gte: positionsOf(owner).first, $lt: bounds.sort()[0]! };
      if (threadId === undefined) {
        const found = await Promise.all(
          statuses.map((one) => find({ owner, status: one, position, ...tokens }, limit)),
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

/** Runs whose metadata has these fields with these values. */
function tokensFilter(owner: string, metadata: Readonly<Record<string, unknown>>): { tokens?: { $all: string[] } } {
  const tokens = filterTokens(owner, metadata);
  return tokens.length > 0 ? { tokens: { $all: tokens } } : {};
}
