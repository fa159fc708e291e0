import type { DomainError } from "../errors.ts";
import type { Lanes, RunStore } from "../ports.ts";
import type { CancelAction, CancelOutcome, RunStatus } from "../transitions.ts";
import { alreadyDecided, asTheyAre, inSlices, lastRecord, lookUp, orError } from "./cancel-runs.ts";
import type { Run, RunName } from "./run.ts";

/** What a cancel would answer, and the run's status as long as nobody cancels it. */
export interface CancelPreview {
  readonly status: RunStatus;
  readonly outcome: CancelOutcome;
}

/** What cancelling these runs would do, by their ids; changes nothing. */
export type PreviewCancels = (
  names: readonly RunName[],
  action: CancelAction,
) => Promise<Map<string, CancelPreview | DomainError>>;

export function createPreviewCancels(
  runs: Pick<RunStore, "findMany" | "tombstones">,
  lanes: Pick<Lanes, "readMany">,
): PreviewCancels {
  return async (names, action) => {
    const { live, gone } = await lookUp(runs, names);
    const previews = new Map<string, CancelPreview | DomainError>();
    for await (const run of inSlices(await asTheyAre(lanes, live)))
      previews.set(
        run.runId,
        orError(() => preview(run, action)),
      );
    for await (const [name, last] of inSlices(gone)) {
      previews.set(
        name.runId,
        orError(() => asItIs(lastRecord(last, name, { action }))),
      );
    }
    return previews;
  };
}

function preview(run: Run, action: CancelAction): CancelPreview {
  const decided = alreadyDecided(run, { action });
  if (decided) return asItIs(decided);
  if (run.phase !== "waiting") return { status: run.status, outcome: "requested" };
  // A waiting run that has started before waits for another attempt.
  return { status: run.status, outcome: run.startedAt === undefined ? "never_started" : "stopped" };
}

const asItIs = (run: Run): CancelPreview => ({
  status: run.status,
  outcome: run.cancellation?.outcome ?? "requested",
});
