import { pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes, RunStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { ChildRuns } from "../domain/run/child-runs.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Slot } from "../domain/run/store-run.ts";
import type { Act, Acted } from "../domain/thread/act.ts";
import { type Entry, firstInTurn } from "../domain/thread/entry.ts";
import { keyOfThread } from "../domain/thread.ts";

export interface SchedulerParts {
  readonly lanes: Pick<Lanes, "ready" | "readyOwners">;
  /** There may be several owners: then one that has thousands of runs keeps nobody else's from being found. */
  readonly hasOwners: boolean;
  readonly runs: Pick<RunStore, "find">;
  readonly act: Pick<Act, "act" | "decide" | "follow">;
  readonly children: Pick<ChildRuns, "wishFor">;
  readonly reserve: (run: Pick<Run, "owner" | "parent">) => Slot | undefined;
  /** There is a run that finds no slot here: another server may have one. */
  readonly slotMissing: () => void;
  /** How often to look for runs of which no word came, for example from another server. */
  readonly pollMs: number;
  /** An entry whose record has not come by then is forgotten. */
  readonly recordLimitMs: number;
  /** The database's time. */
  readonly now: () => Date;
  readonly onError: (error: unknown) => void;
}

/** Claims the runs that are first in their lanes, those that have been first for longest before others, whenever there is a slot. */
export interface Scheduler {
  /** There may be something to claim. */
  wake(): void;
  /** A slot is free: whoever waits for one may be claimed now. */
  slotFree(): void;
  stop(): Promise<void>;
}

/** Candidates of one look. Another server may take some of them first. */
const candidates = 32;
/** So many pages of one look are searched for runs that may borrow their parent's slot, and as many behind them. */
const pagesForChildren = 32;

export function createScheduler(parts: SchedulerParts): Scheduler {
  const { lanes, runs, act, onError } = parts;
  const rounds = createRounds(look, { everyMs: parts.pollMs, onError });
  /** Claims under way. One that hangs holds up no other. */
  const claims = new Map<string, Promise<void>>();
  /** Whose runs were more than there are slots for, by the last look: only then is a slot that becomes free a reason to look again. */
  const crowded = new Set<string | undefined>([undefined]);
  /** How far behind the first pages children have been looked for, by their owner; the next look goes on from there. */
  const reached = new Map<string | undefined, FoundThread | undefined>();
  /** Looks so far: each begins with another owner. */
  let looks = 0;
  let stopped = false;

  async function look(): Promise<void> {
    crowded.clear();
    if (!parts.hasOwners) return lookFor(undefined);
    const owners = await lanes.readyOwners();
    for (const owner of reached.keys()) if (!owners.includes(owner!)) reached.delete(owner);
    looks += 1;
    for (const place of owners.keys()) await lookFor(owners[(place + looks) % owners.length]);
  }

  /** Those without a slot wait; behind them there may be children that borrow one. */
  async function lookFor(owner: string | undefined): Promise<void> {
    const last = await searched(owner, undefined);
    reached.set(owner, last && (await searched(owner, reached.get(owner) ?? last)));
  }

  /** Begins what may be claimed of the pages behind a thread. Answers their last thread, unless the end was reached. */
  async function searched(owner: string | undefined, from: FoundThread | undefined): Promise<FoundThread | undefined> {
    let pages = 0;
    const ready = pagesOf<FoundThread>(candidates, ({ limit, after }) =>
      lanes.ready({ limit, after: after ?? from }, owner),
    );
    for await (const found of ready) {
      for (const thread of found) if (!crowded.has(thread.owner) || firstInTurn(thread.lane)?.parent) begin(thread);
      pages += 1;
      if (pages === pagesForChildren) return found.at(-1);
    }
    return undefined;
  }

  function begin(thread: FoundThread): void {
    const entry = firstInTurn(thread.lane);
    const key = keyOfThread(thread);
    if (!entry || claims.has(key)) return;
    const claimed = claim(thread, entry)
      .catch(onError)
      .finally(() => claims.delete(key));
    claims.set(key, claimed);
  }

  /** Does nothing when there is no slot, or somebody else was faster. */
  async function claim({ owner, threadId, at }: FoundThread, { run: runId, parent }: Entry): Promise<void> {
    const name: RunName = { owner, threadId, runId };
    const slot = parts.reserve({ owner, parent: parent && { ...parent, independent: false } });
    if (!slot) {
      crowded.add(owner);
      parts.slotMissing();
      return;
    }
    let acted: Acted | undefined;
    let record: Run | undefined;
    try {
      record = await runs.find(name);
      if (record && !(await isCancelledWithParent(name, parent))) {
        acted = await act.decide(name, { kind: "claim", run: runId, token: slot.token, parentIsLive: true });
      } else if (!record && parts.now().getTime() - at > parts.recordLimitMs) {
        await act.act(name, { kind: "forget", run: runId, lacks: "record" });
      }
    } catch (error) {
      slot.release();
      throw error;
    }
    const entry = acted?.answer.did === "missed" ? undefined : acted?.answer.entry;
    if (!acted || !entry) return slot.release();
    slot.start({ ...acted, entry }, record);
    await act.follow(acted);
  }

  /** What stands in its lane is found by a cancel of its parent from then on; what was stored before is looked for here. */
  async function isCancelledWithParent(name: RunName, parent: Entry["parent"]): Promise<boolean> {
    const wish = parent && (await parts.children.wishFor(name.owner, parent));
    if (wish) await act.act(name, { kind: "requestCancel", runs: [name.runId], wish });
    return wish !== undefined;
  }

  return {
    wake() {
      if (stopped) parts.slotMissing();
      else rounds.wake();
    },
    slotFree() {
      if (crowded.size > 0 || rounds.isUnderWay) rounds.wake();
    },
    async stop() {
      stopped = true;
      await rounds.stop();
      await Promise.all(claims.values());
    },
  };
}
