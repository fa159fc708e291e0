import { DomainError } from "../errors.ts";
import { newId } from "../ids.ts";
import { threadNotFound } from "../not-found.ts";
import type { Lanes, RunStore, StoredThread } from "../ports.ts";
import type { Act, Acted, Wish } from "../thread/act.ts";
import type { NewThread } from "../thread/decide.ts";
import { type Entry, entryOf, liveEntries } from "../thread/entry.ts";
import type { KeptThreads } from "../thread/kept-threads.ts";
import { reduce } from "../thread/lane.ts";
import { asInLane } from "../thread/project.ts";
import { errorOf } from "../thread/refusals.ts";
import type { ThreadName } from "../thread.ts";
import type { ChildRuns } from "./child-runs.ts";
import type { FindRun } from "./find-run.ts";
import type { NewRun } from "./new-run.ts";
import type { Run, RunName } from "./run.ts";

export interface StoreRunParts {
  readonly lanes: Pick<Lanes, "read">;
  /** Threads as they were written last, which may have changed since. */
  readonly kept: Pick<KeptThreads, "get">;
  readonly runs: Pick<
    RunStore,
    "insert" | "deleteUnentered" | "deleteMade" | "putAgain" | "find" | "tombstone" | "tombstones"
  >;
  readonly findRun: FindRun;
  readonly act: Act;
  readonly children: Pick<ChildRuns, "wishFor">;
  /** A worker's slot, if one is free: the run is then claimed in the decision that lets it enter. */
  readonly reserve: (run: Run) => Slot | undefined;
  /** The servers in which somebody waits for the run that is about to be stored on a temporary thread. */
  readonly watchersOf: (thread: ThreadName) => readonly string[];
  readonly maxThreadRuns: number;
  readonly leaseMs: number;
  readonly monotonicMs: () => number;
}

/** A slot at a worker, taken before a run is claimed. Exactly one of the two must be called. */
export interface Slot {
  /** The lease's. */
  readonly token: string;
  /** Executes what was claimed with the token: `known` is its record, where it is at hand. */
  start(claimed: StoredThread & { readonly entry: Entry }, known?: Run): void;
  release(): void;
}

export interface StoreRunOptions {
  /** A thread that is not there is created. */
  readonly createThread?: boolean;
  /** The run may have been stored before: then it is answered as it is. */
  readonly again?: boolean;
  /** Others may ask for a run with the same id at the same time. */
  readonly isChosenId?: boolean;
  /** See {@link NewRun.mayEnter}. */
  readonly mayEnter?: NewRun["mayEnter"];
}

/**
 * Stores a run: its record first, so that whatever a lane names is there; then one decision of its thread lets it enter, and
 * cancels the runs before it where it supersedes them. Answers the run as it is then; nothing is left of one that is refused.
 *
 * A run that nobody else can know by its id, and that is to be claimed by the decision itself, is stored while the decision is made.
 * It begins, and is answered, when both have landed; of what a crash leaves between them whoever takes the lease over finds no record,
 * and ends the entry.
 */
export type StoreRun = (run: Run, options?: StoreRunOptions) => Promise<Run>;

export function createStoreRun(parts: StoreRunParts): StoreRun {
  const { lanes, runs, act } = parts;

  return async (run, options = {}) => {
    const began = parts.monotonicMs();
    const born = run.stateless || options.createThread ? threadFor(run) : undefined;
    const wish = enterWish(run);
    const seen = await look(run, wish);
    if (!seen && !born) throw threadNotFound(run.threadId);
    const checkEntry = (stored: StoredThread | undefined) => {
      if (stored && options.mayEnter?.(stored.control.metadata) === false) throw threadNotFound(run.threadId);
    };
    checkEntry(seen);
    const reserve = () => (run.dueAt || wish.parent ? undefined : parts.reserve(run));
    const early = mayHaveTwins(run, options) || !isFree(seen) ? undefined : reserve();
    const inserted = early ? insertNew(run, options) : undefined;
    inserted?.catch(() => undefined);
    if (!inserted && !(await insertNew(run, options))) {
      const there = await parts.findRun(run);
      if (there && options.again) return there;
      if (there || !(await takesId(run, options))) throw notStored(run, options);
    }
    const slot = early ?? reserve();
    let record = run;
    const ifStillWanted = async () => {
      await inserted;
      if (options.mayEnter) checkEntry(await lanes.read(run));
      record = await keepRecord(record, options);
    };
    let acted: Acted | undefined;
    try {
      acted = await act.decide(run, { ...wish, next: slot?.token }, { born, seen: seen ?? null, ifStillWanted });
      const isStored = (await inserted) ?? true;
      if (!acted) throw threadNotFound(run.threadId);
      if (acted.answer.did === "missed" || !isStored) throw notStored(run, options);
    } catch (error) {
      slot?.release();
      // What is refused beside others of its thread may be refused before it is stored.
      await inserted?.catch(() => undefined);
      if (error instanceof DomainError) await deleteRefused(record, options);
      throw error;
    }
    const isLate = parts.monotonicMs() - began > parts.leaseMs / 3;
    // Its server may have slept since the decision, and be dead to others: the heartbeat goes on with what is still claimed here.
    if (inserted && isLate) slot?.release();
    else begin(slot, acted, record);
    // A twin of this request, sent again under the same id, has brought the entry. Under an id that nobody else can know it was an
    // earlier try of this decision, whose mark is gone since this server was declared dead meanwhile.
    if (acted.answer.did === "again" && !options.again && mayHaveTwins(run, options)) throw notStored(run, options);
    // What waits may have been cancelled, told and forgotten while its record was not stored.
    const mayBeGone = inserted !== undefined && acted.answer.claimed?.run !== run.runId;
    if (isLate || mayBeGone) await confirm(record, options);
    await act.follow(acted);
    return asInLane(record, await withParent(record, acted));
  };

  /**
   * The record as it is made anew, so that whoever has taken it for left behind before leaves it alone. Whoever has taken its id
   * meanwhile keeps that: the run may have come and gone.
   */
  async function keepRecord(record: Run, options: StoreRunOptions): Promise<Run> {
    const anew = { ...record, made: newId() };
    if ((await runs.putAgain(anew, record.made)) && (await unlessGone(anew, options))) return anew;
    const there = (await runs.find(record)) ?? (await runs.tombstone(record));
    if (!there && (await insertNew(anew, options))) return anew;
    // The record was made by a twin of this request: it serves this creation as well, and is the twin's to remove.
    if (there?.changes === 0 && isTwin(there, record, options) && (await unlessGone(there, options))) return record;
    throw notStored(record, options);
  }

  /**
   * Stores the record, unless the id is taken. A run that had the id may have come and gone since it was last looked for; its last
   * record was stored before its record went.
   */
  async function insertNew(run: Run, options: StoreRunOptions): Promise<boolean> {
    return (await runs.insert(run)) && unlessGone(run, options);
  }

  /** A write that was late may have brought a record back, or has let this one be stored in its place. */
  async function unlessGone(run: Run, options: StoreRunOptions): Promise<true> {
    if (!options.isChosenId && run.request === undefined) return true;
    // That of a stateless run is of another thread.
    if ((await runs.tombstones([run])).length === 0) return true;
    // What was on its way to the former record may have met this one, so that it says more by now.
    await runs.deleteMade(run);
    throw notStored(run, options);
  }

  /** The thread; throws what refuses the run as it is now, so that nothing of the run need be stored. */
  async function look(run: Run, wish: Wish): Promise<StoredThread | undefined> {
    const refusal = ({ control }: StoredThread) => {
      const reduction = reduce(control, { ...wish, server: "" }, control.updatedAt);
      return "refusal" in reduction ? reduction.refusal : undefined;
    };
    const kept = parts.kept.get(run);
    if (kept && !refusal(kept)) return kept;
    const seen = await lanes.read(run);
    const refused = seen && refusal(seen);
    if (refused) throw errorOf(refused);
    return seen;
  }

  function enterWish(run: Run) {
    const { parent } = run;
    return {
      kind: "enter",
      run: run.runId,
      strategy: run.spec.multitaskStrategy,
      actor: run.actor,
      due: run.dueAt?.getTime(),
      parent: parent && !parent.independent ? { threadId: parent.threadId, runId: parent.runId } : undefined,
      once: run.stateless !== undefined,
      limit: parts.maxThreadRuns,
    } as const;
  }

  /**
   * Of a run that is refused nothing is left. Of a request that may be repeated another try may be about to let it enter, by the same
   * record: after this decision it misses, and looks after its record.
   */
  async function deleteRefused(record: Run, options: StoreRunOptions): Promise<void> {
    const left = mayHaveTwins(record, options)
      ? await act.decide(record, { kind: "forget", run: record.runId, lacks: "entry" })
      : undefined;
    if (left?.answer.did !== "missed") await runs.deleteUnentered(record);
  }

  /** The record of a run that never came, after a crash or a long sleep, leaves its id to whoever asks for it now. */
  async function takesId(run: Run, options: StoreRunOptions): Promise<boolean> {
    for (;;) {
      const there = (await runs.find(run)) ?? (await runs.tombstone(run));
      // The record was removed just now, or a run of another thread has the id.
      if (!there) return insertNew(run, options);
      if (there.changes > 0) return false;
      // Twins' records are the same and only one twin brings the entry, so that it does not matter who made the record last.
      if (isTwin(there, run, options)) {
        if (await runs.putAgain(run, there.made)) return unlessGone(run, options);
        continue;
      }
      if (run.createdAt.getTime() - there.createdAt.getTime() <= 2 * parts.leaseMs) return false;
      // From this decision on, whoever was to bring the old record's entry misses.
      const acted = await act.decide(run, { kind: "forget", run: run.runId, lacks: "entry" });
      if (acted?.answer.did === "missed" || !(await runs.putAgain(run, there.made))) return false;
      return unlessGone(run, options);
    }
  }

  function begin(slot: Slot | undefined, acted: Acted, run: Run): void {
    const { claimed } = acted.answer;
    if (!slot) return;
    if (claimed) slot.start({ ...acted, entry: claimed }, claimed.run === run.runId ? run : undefined);
    else slot.release();
  }

  /** It took so long that its record may have been taken for left behind, and removed. */
  async function confirm(run: Run, options: StoreRunOptions): Promise<void> {
    const anew = { ...run, made: newId() };
    const isBare = (await runs.putAgain(anew, run.made)) || (!(await runs.tombstone(run)) && (await runs.insert(anew)));
    const confirmed = await act.decide(run, { kind: "confirm", run: run.runId });
    if (confirmed && confirmed.answer.did !== "missed") return;
    // The entry is gone: the run has come to its end, which its record says, or the entry was forgotten, or its thread was deleted.
    if (isBare) await runs.deleteUnentered(anew);
    if (isBare || !(await runs.find(run))) throw notStored(run, options);
  }

  /** Only what stands in its lane can be found by a cancel of its parent: what was cancelled before that is looked for now. */
  async function withParent(run: Run, acted: Acted): Promise<Entry> {
    const entry = acted.answer.entry!;
    if (!entry.parent) return entry;
    const wish = await parts.children.wishFor(run.owner, entry.parent);
    if (wish) {
      const asked = await act.act(run, { kind: "requestCancel", runs: [run.runId], wish });
      return (asked && entryOf(asked.control, run.runId)) ?? asked?.answer.entry ?? entry;
    }
    const slot = run.dueAt ? undefined : parts.reserve(run);
    if (!slot) return entry;
    return claim(run, slot, entry);
  }

  async function claim(run: Run, slot: Slot, entry: Entry): Promise<Entry> {
    const { token } = slot;
    let acted: Acted | undefined;
    try {
      acted = await act.decide(run, { kind: "claim", run: run.runId, token, parentIsLive: true });
    } catch (error) {
      slot.release();
      throw error;
    }
    const claimed = acted?.answer.did === "missed" ? undefined : acted?.answer.entry;
    if (!acted || !claimed) {
      slot.release();
      return entry;
    }
    slot.start({ ...acted, entry: claimed }, run);
    await act.follow(acted);
    return claimed;
  }

  function threadFor(run: Run): NewThread {
    const { owner, threadId, createdAt } = run;
    // The same each time: a stateless run that is stored once more, after it has gone, finds its thread barred.
    const journal = run.stateless ? run.runId : newId();
    const watchedBy = run.stateless?.temporary ? parts.watchersOf(run) : undefined;
    return {
      origin: { owner, threadId, journal, createdAt: createdAt.getTime() },
      kept: { metadata: run.spec.caller?.threadMetadata ?? {}, watchedBy },
    };
  }
}

export function runExists(run: RunName): DomainError {
  return new DomainError(
    "RUN_EXISTS",
    `run_id: there is already a run ${run.runId}; choose another id, or get that run`,
    {
      metadata: { run_id: run.runId },
    },
  );
}

/** The request may be sent again, or somebody else may ask for the same id. */
const mayHaveTwins = ({ request }: Run, { isChosenId, again }: StoreRunOptions): boolean =>
  request !== undefined || isChosenId === true || again === true;

/** What enters is claimed by the same decision, if there is a slot. */
const isFree = (seen: StoredThread | undefined): boolean =>
  !seen || (liveEntries(seen.control.lane).length === 0 && !seen.control.lane.holder && !seen.control.lane.hold);

/** The same request, sent again. */
const isTwin = (there: Run, { request }: Run, { again }: StoreRunOptions): boolean =>
  again === true || (request !== undefined && there.request === request);

/** Of an id that nobody has chosen only this server can know: what it has stored was removed meanwhile, since it took so long. */
const notStored = (run: RunName, { isChosenId, again }: StoreRunOptions): DomainError =>
  isChosenId || again
    ? runExists(run)
    : new DomainError("DATABASE_UNAVAILABLE", "The run could not be stored in time; create it again");
