import type { RunEventStore, ThreadStore } from "../domain/ports.ts";
import type { FindCheckpoint } from "../domain/run/checkpoints.ts";
import type { Run } from "../domain/run/run.ts";

export interface SequenceAtParts {
  readonly events: Pick<RunEventStore, "firstAfter" | "head">;
  readonly threads: Pick<ThreadStore, "find">;
  readonly findCheckpoint: FindCheckpoint;
}

export type SequenceAt = (run: Run, checkpointId: string) => Promise<number>;

/**
 * Where a reader begins who knows the state at a checkpoint: the number of the last event before what the run put out after it.
 * 0, which is the run's beginning, when the checkpoint is none of the run's.
 */
export function createSequenceAt({ events, threads, findCheckpoint }: SequenceAtParts): SequenceAt {
  return async (run, checkpointId) => {
    // Read before the search: what is stored in between is then sent rather than lost.
    const { last } = await events.head(run);
    const first = await events.firstAfter(run, checkpointId);
    if (first !== undefined) return first - 1;
    const thread = await threads.find(run);
    const found = thread && (await findCheckpoint(thread, { checkpointId, checkpointNs: "" }));
    // Nothing has come after it yet.
    return found?.fields.run_id === run.runId ? last : 0;
  };
}
