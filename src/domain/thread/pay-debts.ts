import { boundedState } from "../bounded.ts";
import type { Lanes, RunStore, StoredThread, ThreadOrigin } from "../ports.ts";
import type { Run, RunName } from "../run/run.ts";
import type { RememberedState, Thread, ThreadName } from "../thread.ts";
import type { CancelAction } from "../transitions.ts";
import { type CancelChildrenParts, cancelChildren } from "./children.ts";
import type { FinishRollback, Projected, ToldEnd } from "./commands.ts";
import { dutiesOf } from "./effects.ts";
import { type Entry, entryOf } from "./entry.ts";
import type { LiveRecords } from "./live-records.ts";
import { asInLane, projectionOf } from "./project.ts";
import { threadOf } from "./view.ts";

/** What is removed when a run is rolled back or deleted. Each step is repeatable. */
export interface RunData {
  /** Removes the run's checkpoints and pending writes; what other runs' checkpoints build on stays. */
  removeCheckpoints(thread: Thread, run: RunName): Promise<void>;
  removeEvents(run: RunName): Promise<void>;
}

/** What an execution or a look reports; whose graph and run it is, its user knows. */
export type StateAtEnd = Omit<RememberedState, "n" | "graph" | "assistantId">;

export interface PayDebtsParts {
  readonly lanes: Pick<Lanes, "read">;
  readonly runs: RunStore;
  readonly records: Pick<LiveRecords, "isOver">;
  readonly data: RunData;
  /** Reads the thread's state at a checkpoint with its graph; when that cannot be done, what is known without it. */
  readonly readState: (thread: Thread, graph: string, checkpointId: string) => Promise<StateAtEnd>;
  readonly newestCheckpoint: (thread: Thread) => Promise<string | undefined>;
  /** The run is over for everybody. `left`: what its execution reported, where that is known. */
  readonly ended: (run: Run, left: StateAtEnd | undefined) => void;
}

/** What paying asks of those who decide. */
interface Deciding {
  /**
   * Decides about children; what follows is done meanwhile. To wait for it would be to wait for oneself, where a child stands on the
   * same thread, or on one that waits for this.
   */
  readonly act: CancelChildrenParts["act"];
  /** Decides, and signals what follows, without paying. */
  readonly decide: (
    name: ThreadName,
    wish: Omit<FinishRollback, "server" | "told"> | Omit<Projected, "server" | "told">,
  ) => Promise<StoredThread | undefined>;
  /** Whether the run's children have heard of its cancel, since it was stored; told once. */
  readonly haveChildrenBeenAsked: (run: RunName, action: CancelAction) => boolean;
  /** The entry may leave with the thread's next decision. */
  readonly remember: (name: ThreadName, end: ToldEnd) => void;
  /** What was remembered of the run and has not left yet. */
  readonly remembered: (thread: ThreadOrigin, run: string) => ToldEnd | undefined;
}

/** What its execution knows of a run that has just ended. */
export interface RunLeft {
  readonly run: string;
  readonly state?: StateAtEnd;
  /** Its record, where nothing else has been written to that, so that it need not be read again. */
  readonly record?: Run;
}

export interface PayOptions {
  /** The thread as it was just written. */
  readonly seen?: StoredThread;
  readonly left?: RunLeft;
  /** Entries leave at once, and not with the next decision. */
  readonly leave?: boolean;
}

interface Told {
  readonly end: ToldEnd;
  /** The run as it is over. */
  readonly ended?: Run;
}

export type PayDebts = (name: ThreadName, options?: PayOptions) => Promise<void>;

/**
 * Carries out rollbacks and tells ends, in the order of the lane: the duties that each entry still has. Every step is
 * repeatable, so that anybody may go on where a crash has left off.
 */
export function createPayDebts(
  parts: PayDebtsParts,
  { act, decide, haveChildrenBeenAsked, remember, remembered }: Deciding,
): PayDebts {
  const { lanes, runs } = parts;

  async function rollBack(stored: StoredThread, entry: Entry): Promise<StoredThread | undefined> {
    const thread = threadOf(stored);
    const run: RunName = { owner: thread.owner, threadId: thread.threadId, runId: entry.run };
    await parts.data.removeCheckpoints(thread, run);
    await parts.data.removeEvents(run);
    // A run that never started has not moved its thread: its record names no checkpoint.
    const checkpoint = entry.first === undefined ? undefined : await parts.newestCheckpoint(thread);
    return decide(thread, { kind: "finishRollback", run: entry.run, checkpoint, journal: thread.journal });
  }

  async function tell(stored: StoredThread, entry: Entry, known?: Run): Promise<Told> {
    const { owner, threadId, journal } = stored.origin;
    const name: RunName = { owner, threadId, runId: entry.run };
    const duties = dutiesOf(stored.control, entry);
    const state = duties.includes("readState") ? await stateOf(stored, name, entry) : undefined;
    const ended = duties.includes("storeTombstone")
      ? await storeTombstone(name, entry, journal)
      : await record(name, entry, journal, known);
    return { end: { run: entry.run, changes: entry.changes, state, journal }, ended };
  }

  /** Where the run has left the thread: the next one may have gone on from there by now, and may yet be rolled back. */
  async function stateOf(stored: StoredThread, name: RunName, { end }: Entry): Promise<ToldEnd["state"]> {
    const run = await runs.find(name);
    if (!run) return { graph: "", next: [], interrupts: [], unread: true };
    const { graph, assistant } = run;
    const { checkpoint } = end!;
    const nothing: StateAtEnd = { next: [], interrupts: [] };
    const read = checkpoint === undefined ? nothing : await parts.readState(threadOf(stored), graph, checkpoint);
    const { n: _, ...state } = boundedState({ ...read, n: 0, graph, assistantId: assistant.assistantId });
    return state;
  }

  async function record(name: RunName, entry: Entry, journal: string, known?: Run): Promise<Run | undefined> {
    parts.records.isOver(name);
    const isNews = await runs.project(name, projectionOf(entry, journal));
    if (isNews && known) return { ...asInLane(known, entry), journal };
    const said = await runs.find(name);
    // One that is not over is of another thread with the same id: this one was removed meanwhile.
    return said?.phase === "over" ? said : undefined;
  }

  async function storeTombstone(name: RunName, entry: Entry, journal: string): Promise<Run | undefined> {
    for (;;) {
      const run = await runs.find(name);
      if (!run || !(await stands(name, journal))) break;
      await runs.insertTombstone({ ...asInLane(run, entry), journal });
      // Another try of the request may have put its record there meanwhile.
      if (await runs.remove(run)) break;
    }
    return runs.tombstone(name);
  }

  /** Whether the record that was found is this entry's: once that has left, another thread may have a run of its name. */
  async function stands(name: RunName, journal: string): Promise<boolean> {
    const stored = await lanes.read(name);
    return stored?.origin.journal === journal && entryOf(stored.control, name.runId) !== undefined;
  }

  return async (name, { seen, left, leave } = {}) => {
    const done = new Set<string>();
    /** Runs whose children have been asked to stop, with what was asked. */
    const withChildren = new Set<string>();
    let stored = seen ?? (await lanes.read(name));
    for (;;) {
      const entry = stored?.control.lane.entries.find(({ run, owed }) => owed && !done.has(run));
      if (!stored || !entry) return;
      const action = entry.cancel?.action;
      const known = remembered(stored.origin, entry.run);
      const run: RunName = { ...name, runId: entry.run };
      const isToAsk = action && !known && !withChildren.has(entry.run) && !haveChildrenBeenAsked(run, action);
      withChildren.add(entry.run);
      const children = isToAsk ? cancelChildren({ runs, act }, run, { action, actor: entry.cancel?.actor }) : undefined;
      if (entry.phase === "rolling_back") {
        await children;
        stored = await rollBack(stored, entry);
        continue;
      }
      done.add(entry.run);
      const its = left?.run === entry.run ? left : undefined;
      // Side by side: as long as the entry stands, whoever comes after a crash does both again.
      const telling = known?.changes === entry.changes ? undefined : tell(stored, entry, its?.record);
      const [told = { end: known! } as Told] = await Promise.all([telling, children]);
      // These entries leave at once: a rolled back run's, of which nothing stays, and one whose end brings the thread's state.
      if (leave || action === "rollback" || told.end.state)
        stored = await decide(name, { kind: "projected", ...told.end });
      else if (!known) remember(name, told.end);
      // Told last: whoever hears of the end may count on it that the entry leaves with the thread's next decision.
      if (told.ended) parts.ended(told.ended, action === "rollback" ? undefined : its?.state);
    }
  };
}
