import type { FinishRun } from "./finish-run.ts";
import type { RunStore, ThreadStore } from "./ports.ts";
import type { ThreadName } from "./thread.ts";

/** Threads of one look: those with a delayed run are looked at again and again as long as it is delayed. */
const chunk = 100;

/**
 * Repairs threads that a crash has left busy although none of their runs is live: the delayed run that they were made busy for
 * was never stored, or its end is not known to them. Each call looks at the next ones that have not changed since the time.
 */
export function createRestThreads(parts: {
  readonly runs: Pick<RunStore, "hasDelayed">;
  readonly threads: Pick<ThreadStore, "busyWithoutTurn">;
  readonly finish: Pick<FinishRun, "rest">;
}) {
  let last: ThreadName | undefined;
  return async (unchangedSince: Date): Promise<void> => {
    const busy = await parts.threads.busyWithoutTurn(unchangedSince, last, chunk);
    last = busy.length === chunk ? busy.at(-1) : undefined;
    for (const thread of busy) if (!(await parts.runs.hasDelayed(thread))) await parts.finish.rest(thread);
  };
}
