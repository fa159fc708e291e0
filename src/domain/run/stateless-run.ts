import { invalid } from "../check-metadata.ts";
import type { NewRun } from "./new-run.ts";

/** Refuses what makes no sense for a run without a thread, or with one. Throws INVALID_FIELD. */
export function checkThreadFields({ stateless, given, spec }: NewRun): void {
  if (!stateless) {
    if (given?.onCompletion)
      throw invalid("spec.on_completion", "must not be set together with thread_id: the thread stays");
    return;
  }
  const nothingBefore = "a run without thread_id gets a thread of its own, on which nothing has happened";
  if (spec.checkpointId !== undefined) throw invalid("spec.checkpoint_id", `needs a thread_id: ${nothingBefore}`);
  if (spec.checkpoint !== undefined) throw invalid("spec.checkpoint", `needs a thread_id: ${nothingBefore}`);
  if (spec.command?.resume !== undefined) throw invalid("spec.command.resume", `needs a thread_id: ${nothingBefore}`);
  if (given?.multitaskStrategy) {
    throw invalid("spec.multitask_strategy", "needs a thread_id: a run without one gets a thread of its own");
  }
  if (given?.ifNotExists) throw invalid("if_not_exists", "needs a thread_id: a run without one always gets a thread");
}
