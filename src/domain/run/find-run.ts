import type { Lanes, RunStore } from "../ports.ts";
import { entryOf } from "../thread/entry.ts";
import { asInLane } from "../thread/project.ts";
import type { Run, RunName } from "./run.ts";

/** The run as it is now; undefined for one that is gone, and for a record that no entry has come for. */
export type FindRun = (name: RunName) => Promise<Run | undefined>;

/** The truth about a run that is not over is in its thread's lane; its record follows. */
export function createFindRun({
  runs,
  lanes,
}: {
  readonly runs: Pick<RunStore, "find">;
  readonly lanes: Pick<Lanes, "read">;
}): FindRun {
  return async (name) => {
    const run = await runs.find(name);
    if (!run || run.phase === "over") return run;
    const stored = await lanes.read(name);
    const entry = stored && entryOf(stored.control, name.runId);
    if (entry) return asInLane(run, entry);
    // It has left its lane since, so that its record says the end, or is gone; unless no entry has come for it.
    const now = await runs.find(name);
    return now && now.changes > 0 ? now : undefined;
  };
}
