import { invalid } from "../check-metadata.ts";
import { parentNotFound } from "../not-found.ts";
import type { Lanes, RunStore } from "../ports.ts";
import { wishOfParent } from "../thread/children.ts";
import type { CancelWish } from "../thread/commands.ts";
import { entryOf } from "../thread/entry.ts";
import { asInLane } from "../thread/project.ts";
import type { ParentOfRun, Run, RunName } from "./run.ts";

export interface ChildRunsParts {
  readonly runs: Pick<RunStore, "find" | "tombstone">;
  readonly lanes: Pick<Lanes, "read">;
}

/** Runs that nodes of other runs create. */
export interface ChildRuns {
  /** Refuses a run whose parent is not live. Throws RUN_NOT_FOUND, or INVALID_FIELD for one that is over. */
  parentOf(owner: string, parent: ParentOfRun): Promise<void>;
  /**
   * What a child that stands in its lane is to be cancelled with, since its parent's cancel may have been stored before it could
   * be seen there; undefined when it may begin.
   */
  wishFor(owner: string, parent: Omit<RunName, "owner">): Promise<CancelWish | undefined>;
}

export function createChildRuns({ runs, lanes }: ChildRunsParts): ChildRuns {
  /** As it is now, or as it was last. */
  async function find(name: RunName): Promise<Run | undefined> {
    const entry = await entryNow(name);
    const run = (await runs.find(name)) ?? (await runs.tombstone(name));
    return run && entry ? asInLane(run, entry) : run;
  }

  async function entryNow(name: RunName) {
    const stored = await lanes.read(name);
    return stored && entryOf(stored.control, name.runId);
  }

  return {
    async parentOf(owner, { threadId, runId }) {
      const name = { owner, threadId, runId };
      const run = await find(name);
      if (!run) throw parentNotFound(name);
      if (run.phase !== "over" && run.phase !== "rolling_back") return;
      throw invalid("parent", `run ${runId} is over; only a run that is live creates runs`);
    },

    async wishFor(owner, { threadId, runId }) {
      const name = { owner, threadId, runId };
      const entry = await entryNow(name);
      if (entry) return entry.cancel && wishOfParent(runId, entry.cancel);
      const run = (await runs.find(name)) ?? (await runs.tombstone(name));
      // A live run goes without a trace only when it was stopped for its thread's deletion.
      const cancel = run ? run.cancellation : ({ action: "interrupt" } as const);
      return cancel && wishOfParent(runId, cancel);
    },
  };
}
