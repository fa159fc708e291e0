import type { Db } from "mongodb";
import { newId } from "../../src/domain/ids.ts";
import type { Lanes } from "../../src/domain/ports.ts";
import type { Wish } from "../../src/domain/thread/act.ts";
import type { Command } from "../../src/domain/thread/commands.ts";
import { type Entry, entryOf, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { reduce } from "../../src/domain/thread/lane.ts";
import type { ThreadName } from "../../src/domain/thread.ts";
import { collections } from "../../src/storage/collections.ts";
import { createLanes } from "../../src/storage/lanes.ts";
import { wallClock } from "./stores.ts";

/** What a decision that is written does to a run. */
export type Step = "enter" | "claim" | "cancel" | "handBack" | "takeOver" | "end" | "rollBack" | "rolledBack" | "leave";

export interface RunStep {
  readonly step: Step;
  readonly runId: string;
  readonly entry: Entry;
}

/** What a written control does to the runs of its thread. */
export function stepsOf(before: ThreadControl | undefined, after: ThreadControl): RunStep[] {
  const runs = new Set([...(before?.lane.entries ?? []), ...after.lane.entries].map(({ run }) => run));
  return [...runs].flatMap((runId) => {
    const was = before && entryOf(before, runId);
    const is = entryOf(after, runId);
    return stepsOfEntry(was, is).map((step) => ({ step, runId, entry: (is ?? was)! }));
  });
}

function stepsOfEntry(was: Entry | undefined, is: Entry | undefined): Step[] {
  if (!is) return ["leave"];
  const steps: Step[] = was ? [] : ["enter"];
  if (is.cancel?.action !== was?.cancel?.action) steps.push("cancel");
  if (is.lease && is.lease.token !== was?.lease?.token) steps.push(is.lease.tokensToFence ? "takeOver" : "claim");
  if (was?.lease && !is.lease && is.phase === "waiting") steps.push("handBack");
  if (is.phase !== was?.phase) {
    if (is.phase === "rolling_back") steps.push("rollBack");
    if (is.phase === "over") steps.push(was?.phase === "rolling_back" ? "rolledBack" : "end");
  }
  return steps;
}

/** What is written of a thread. */
interface Decided {
  readonly name: ThreadName;
  readonly control: ThreadControl;
}

type Hook = (step: RunStep, thread: Decided) => unknown;

/** The same lanes, with something done before and after each step that a decision takes; `before` may throw in its place. */
export function aroundDecisions(lanes: Lanes, hooks: { readonly before?: Hook; readonly after?: Hook }): Lanes {
  async function write(
    thread: Decided,
    before: ThreadControl | undefined,
    send: () => Promise<boolean>,
  ): Promise<boolean> {
    const steps = stepsOf(before, thread.control);
    for (const step of steps) await hooks.before?.(step, thread);
    const done = await send();
    if (done) for (const step of steps) await hooks.after?.(step, thread);
    return done;
  }

  return {
    ...lanes,
    insert: (thread) => write({ name: thread.origin, control: thread.control }, undefined, () => lanes.insert(thread)),
    write: (name, from, control, options) =>
      write({ name, control }, options?.before, () => lanes.write(name, from, control, options)),
  };
}

/** The decision of a server that dies right after it: nothing follows from it. */
export async function decidedByTheDead(db: Db, name: ThreadName, wish: Wish): Promise<void> {
  const lanes = createLanes(collections(db), wallClock);
  for (;;) {
    const { origin, control } = (await lanes.read(name))!;
    const reduction = reduce(control, { ...wish, server: "dead" } as Command, Date.now());
    if ("refusal" in reduction) throw new Error(reduction.refusal.message);
    if (await lanes.write(origin, control.rev, { ...reduction.control, rev: newId() }, { before: control })) return;
  }
}

/** The run in its thread's lane; undefined when it has left, or was never there. */
export async function entryInLane(
  db: Db,
  { threadId, runId }: { readonly threadId: string; readonly runId: string },
): Promise<Entry | undefined> {
  const stored = await createLanes(collections(db), wallClock).read({ owner: "", threadId });
  return stored && entryOf(stored.control, runId);
}
