import { createHash } from "node:crypto";
import type { Collection, Filter } from "mongodb";
import type { ThreadName } from "../domain/thread.ts";
import type { Milestones, ThreadDocument } from "./documents.ts";
import { timeKey } from "./timed-tokens.ts";

/**
 * One thread in sixteen, by a hash of its id, is a milestone; of these one in sixteen of the second level, and so on. Milestones
 * say where in an order about so many threads have gone by, however the threads are spread over it, and are found at a cost that
 * does not grow with their number. Where they lack or mislead, a page takes longer; it is the same page.
 */
const spacing = 16;
/** How many more threads stand before each next place; there are two of each level. */
const growth = 4;
const levels = 5;

const milestoneFields = {
  _id: "milestone_by_id",
  created_at: "milestone_by_time",
  updated_at: "milestone_by_change",
} as const satisfies Record<string, keyof Milestones>;

export type SortField = keyof typeof milestoneFields;

/** 0: no milestone. */
const levelOf = (threadId: string): number =>
  Math.min(levels, Math.clz32(createHash("sha256").update(threadId).digest().readUInt32BE()) >> 2);

const at = (level: number, owner: string, place: string): string => `${level}/${owner}/${place}`;

/** Of a new thread. */
export function milestonesOf(thread: ThreadName & { createdAt: Date; updatedAt: Date }): Milestones {
  const level = levelOf(thread.threadId);
  if (level === 0) return {};
  return {
    milestone_by_id: at(level, thread.owner, thread.threadId),
    milestone_by_time: at(level, thread.owner, timeKey(thread.createdAt.getTime())),
    ...milestoneOfChange(thread, thread.updatedAt),
  };
}

/** Of a thread that changes. */
export function milestoneOfChange({ owner, threadId }: ThreadName, updatedAt: Date): Milestones {
  const level = levelOf(threadId);
  return level === 0 ? {} : { milestone_by_change: at(level, owner, timeKey(updatedAt.getTime())) };
}

/**
 * Places in an order, each further along: before the first stand about twice `limit` threads, before each next one four times as
 * many. A place is a thread's id, or a time as `timeKey` writes it. Index: milestones_by_id, milestones_by_time or
 * milestones_by_change.
 */
export async function placesAlong(
  threads: Collection<ThreadDocument>,
  { owner, field, descending }: { readonly owner: string; readonly field: SortField; readonly descending: boolean },
  after: string | undefined,
  limit: number,
): Promise<string[]> {
  const milestone = milestoneFields[field];
  const [lowest, highest] = ["", "~"];
  const start = after ?? (descending ? highest : lowest);
  const places: string[] = [];
  // From the highest level down, each up to where the one above has come: so few of each are read.
  for (let level = levels; level > 0; level--) {
    const end = places[0] ?? (descending ? lowest : highest);
    const [from, to] = descending ? [end, start] : [start, end];
    const range = { $gt: at(level, owner, from), $lt: at(level, owner, to) };
    const wanted = Math.ceil((2 * limit) / spacing ** level);
    const found = await threads
      .find({ [milestone]: range } as Filter<ThreadDocument>)
      .sort({ [milestone]: descending ? -1 : 1 })
      .limit(growth * wanted)
      .project<Milestones>({ [milestone]: 1 })
      .toArray();
    for (const count of [growth * wanted, wanted]) {
      const last = found[count - 1]?.[milestone];
      if (last !== undefined) places.unshift(last.slice(at(level, owner, "").length));
    }
  }
  return places;
}
