import { alreadyDecided, runNotFound } from "./cancel-runs.ts";
import { DomainError } from "./errors.ts";
import type { Run, RunName } from "./run.ts";
import type { RunStore } from "./stores.ts";
import type { CancelAction, CancelOutcome, RunStatus } from "./transitions.ts";

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

export function createPreviewCancels(runs: Pick<RunStore, "findMany" | "tombstone">): PreviewCancels {
  return async (names, action) => {
    const found = new Map((await runs.findMany(names)).map((run) => [`${run.threadId}/${run.runId}`, run]));
    const previews = new Map<string, CancelPreview | DomainError>();
    for (const name of names) {
      const run = found.get(`${name.threadId}/${name.runId}`);
      previews.set(name.runId, run ? preview(run, action) : await buried(name, action));
    }
    return previews;
  };

  async function buried(name: RunName, action: CancelAction): Promise<CancelPreview | DomainError> {
    const last = await runs.tombstone(name);
    return last?.status === "interrupted" && last.cancellation?.action === action ? asItIs(last) : runNotFound(name);
  }
}

function preview(run: Run, action: CancelAction): CancelPreview | DomainError {
  try {
    const decided = alreadyDecided(run, { action });
    if (decided) return asItIs(decided);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  if (run.phase !== "waiting") return { status: run.status, outcome: "requested" };
  // One that waits for another attempt has run before.
  return { status: run.status, outcome: run.startedAt === undefined ? "never_started" : "stopped" };
}

const asItIs = (run: Run): CancelPreview => ({
  status: run.status,
  outcome: run.cancellation?.outcome ?? "requested",
});
