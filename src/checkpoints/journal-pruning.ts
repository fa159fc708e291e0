import type { JournalCollection } from "../storage/journal.ts";
import { type SlotOutline, slotOutlines, thinSlot } from "../storage/journal-outlines.ts";
import { fieldsOf } from "./journal-entries.ts";

type Entry = NonNullable<SlotOutline["checkpoints"]>[number];

/** A checkpoint where it was put last. */
interface Placed {
  readonly slot: SlotOutline;
  readonly position: number;
  readonly entry: Entry;
}

const nameOf = (namespace: string, id: string): string => JSON.stringify([namespace, id]);

/**
 * Removes every checkpoint but the newest of the graph and of those subgraphs that can still go on from theirs: what the
 * newest checkpoint's tasks have begun, and what keeps its state from run to run. Their pending writes stay, and what they
 * build on does, unlisted. Slots stay taken. The caller holds the turn; `check` is asked before each write. Repeatable, also
 * after a crash half-way: the newest slots go first, so that what is left of the others is whole.
 */
export async function pruneJournal(
  collection: JournalCollection,
  journal: string,
  check: () => Promise<void>,
): Promise<void> {
  const slots = await slotOutlines(collection, journal);
  const stays = whatStays(slots);
  if (!stays) return;
  for (const slot of slots.toReversed()) {
    if (!slot.checkpoints && !slot.writes && !slot.segments) continue;
    const remains = remainsOf(slot, stays);
    const isSmaller = (["checkpoints", "writes", "segments"] as const).some(
      (kind) => remains[kind].size < (slot[kind]?.length ?? 0),
    );
    if (!isSmaller && (slot.kept !== undefined || !remains.isAncestor)) continue;
    await check();
    const { segments } = slot;
    if (remains.checkpoints.size + remains.writes.size > 0) await thinSlot(collection, journal, slot._id, remains);
    else {
      const needed = [...remains.segments].map((position) => segments![position]!.id);
      await collection.keepSegments(journal, slot._id, needed);
    }
  }
}

interface Stays {
  /** By name. */
  readonly listed: ReadonlyMap<string, Placed>;
  readonly ancestors: ReadonlyMap<string, Placed>;
  readonly segments: ReadonlySet<string>;
}

/** Undefined without a checkpoint. */
function whatStays(slots: readonly SlotOutline[]): Stays | undefined {
  const placed = new Map<string, Placed>();
  const newest = new Map<string, Placed>();
  for (const slot of slots) {
    for (const [position, entry] of (slot.checkpoints ?? []).entries()) {
      const one = { slot, position, entry };
      placed.set(nameOf(entry.ns, entry.id), one);
      if (slot.kept === undefined) newest.set(entry.ns, one);
    }
  }
  const root = newest.get("");
  if (!root) return undefined;
  const begun = new Set<string>();
  for (const { entry } of placed.values()) if (isUnder(root.entry, entry)) begun.add(entry.ns);

  const listed = new Map<string, Placed>();
  const ancestors = new Map<string, Placed>();
  for (const [ns, one] of newest) {
    // A task's own namespace names the task after a colon; one without keeps its state from run to run.
    if (ns.includes(":") && !begun.has(ns)) continue;
    listed.set(nameOf(ns, one.entry.id), one);
  }
  for (const one of listed.values()) {
    for (const ancestor of buildsOn(one, placed)) {
      const name = nameOf(ancestor.entry.ns, ancestor.entry.id);
      if (!listed.has(name)) ancestors.set(name, ancestor);
    }
  }
  const segments = new Set<string>();
  for (const { entry } of [...listed.values(), ...ancestors.values()])
    for (const { parts } of entry.values) for (const { segment } of parts ?? []) segments.add(segment);
  for (const { writes } of slots) {
    for (const write of writes ?? []) {
      const target = nameOf(write.ns, write.checkpoint);
      if (!listed.has(target) && !ancestors.has(target)) continue;
      for (const { segment } of write.parts ?? []) segments.add(segment);
    }
  }
  return { listed, ancestors, segments };
}

/** Whether a subgraph's checkpoint was made by a task of the checkpoint. */
const isUnder = (root: Entry, entry: Entry): boolean =>
  (fieldsOf(entry).parents as Record<string, string> | undefined)?.[""] === root.id;

/** The ancestors that hold what the checkpoint's delta channels are rebuilt from, as far back as LangGraph looks. */
function* buildsOn({ entry }: Placed, placed: ReadonlyMap<string, Placed>): Generator<Placed> {
  const counters = fieldsOf(entry).counters_since_delta_snapshot as Record<string, unknown> | undefined;
  const open = new Set(Object.keys(counters ?? {}));
  for (const { channel } of entry.values) open.delete(channel);
  let at = entry;
  while (open.size > 0 && at.parent !== undefined) {
    const parent = placed.get(nameOf(at.ns, at.parent));
    if (!parent) return;
    yield parent;
    for (const { channel } of parent.entry.values) open.delete(channel);
    at = parent.entry;
  }
}

function remainsOf(slot: SlotOutline, { listed, ancestors, segments }: Stays) {
  const isHere = (among: ReadonlyMap<string, Placed>, entry: Entry, position: number) => {
    const one = among.get(nameOf(entry.ns, entry.id));
    return one?.slot === slot && one.position === position;
  };
  const positions = <T>(entries: readonly T[] | undefined, stays: (entry: T, position: number) => boolean) =>
    new Set((entries ?? []).flatMap((entry, position) => (stays(entry, position) ? [position] : [])));
  const isOn = (among: ReadonlyMap<string, Placed>, write: { ns: string; checkpoint: string }) =>
    among.has(nameOf(write.ns, write.checkpoint));

  const showsSomething =
    slot.kept === undefined &&
    ((slot.checkpoints ?? []).some((entry, position) => isHere(listed, entry, position)) ||
      (slot.writes ?? []).some((write) => isOn(listed, write)));
  return {
    // A slot that also holds something that is listed keeps its ancestors listed with it.
    checkpoints: positions(
      slot.checkpoints,
      (entry, position) => isHere(listed, entry, position) || isHere(ancestors, entry, position),
    ),
    writes: positions(slot.writes, (write) => isOn(listed, write) || isOn(ancestors, write)),
    segments: positions(slot.segments, ({ id }) => segments.has(id)),
    isAncestor: !showsSomething,
  };
}
