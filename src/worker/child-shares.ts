/** What counts of a process when it is decided whose runs it may take. */
export interface SharedChild {
  /** Whose runs, or questions, it has had; undefined before the first. A process is one owner's for all its life. */
  readonly owner: string | undefined;
  /** Attempts that may be placed in it now. */
  readonly free: number;
}

/** Claims of an owner whose attempts are not in their process yet. */
export type Pending = ReadonlyMap<string, number>;

/**
 * Whether another attempt of this owner would find its place among these processes, once all have theirs that are claimed. One that has been
 * nobody's yet may become anybody's.
 *
 * @param free what `exclusive` processes take up is taken off the owner's own slots.
 */
export function hasRoom(
  children: readonly SharedChild[],
  owner: string,
  pending: Pending,
  slotsPerChild: number,
  exclusive: number,
): boolean {
  const fresh = children.filter((child) => child.owner === undefined && child.free > 0).length;
  const ownFree = (of: string) =>
    children.reduce((sum, child) => sum + (child.owner === of ? child.free : 0), 0) - (of === owner ? exclusive : 0);
  const processesFor = (of: string, attempts: number) => Math.ceil(Math.max(0, attempts - ownFree(of)) / slotsPerChild);
  let taken = 0;
  for (const [other, attempts] of pending) if (other !== owner) taken += processesFor(other, attempts);
  return processesFor(owner, (pending.get(owner) ?? 0) + 1) <= Math.max(0, fresh - taken);
}

/**
 * The owner that is to give a process back, when owners without one wait and there may be no more: who has most; of these the one whose
 * turn has lasted longest. Undefined when nobody has one to give.
 */
export function nextToYield<C extends { readonly owner: string | undefined; readonly ownedSince: number }>(
  children: readonly C[],
  waiting: ReadonlySet<string>,
): C | undefined {
  const counts = new Map<string, number>();
  for (const { owner } of children) if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return children
    .filter(({ owner }) => owner !== undefined && !waiting.has(owner))
    .toSorted((a, b) => counts.get(b.owner!)! - counts.get(a.owner!)! || a.ownedSince - b.ownedSince)
    .at(0);
}
