import { CancelAction, CancelOutcome } from "../../gen/reins/v1/run_pb.ts";
import { type CancelRunsResponse, LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { type Caller, repeat } from "./creating.ts";
import type { Asked } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import { type Answer, isGone } from "./witness.ts";

type Action = Asked["action"];
const actions = { interrupt: CancelAction.INTERRUPT, rollback: CancelAction.ROLLBACK };

/** The request is stored: the run will end as cancelled, or has. */
const kept: readonly CancelOutcome[] = [
  CancelOutcome.REQUESTED,
  CancelOutcome.NEVER_STARTED,
  CancelOutcome.STOPPED,
  CancelOutcome.KILLED,
  CancelOutcome.FENCED,
];

/** Cancels a run, again and again until that is answered. */
export async function cancelRun(
  caller: Caller,
  thread: string,
  run: string,
  action: Action,
  wait: boolean,
): Promise<void> {
  const { witness } = caller;
  const ask = { by: "cancel" as const, thread, run, action };
  const sentAt = machineMs();
  witness.asked.push({ ...ask, sentAt, isKept: false });
  const request = { threadId: thread, runId: run, action: actions[action], wait, reason: "faults" };
  const answer = await repeat(caller, (member) =>
    witness.ask(member, "CancelRun", ({ runs }, options) =>
      runs.cancelRun(request, { timeoutMs: wait ? 30_000 : options.timeoutMs }),
    ),
  );
  if (answer && isGone(answer)) witness.tellGone(answer, "cancel", run);
  if (answer?.value === undefined) return;
  witness.asked.push({ ...ask, sentAt, isKept: true });
  witness.tell(answer, "cancel", answer.value.run!);
  if (wait && answer.value.outcome === CancelOutcome.REQUESTED)
    witness.complaints.push(`CancelRun with wait answered REQUESTED for run ${run}`);
}

/** Cancels these runs of a thread; all that are live when none is named. */
export async function cancelRuns(
  caller: Caller,
  thread: string,
  runIds: readonly string[],
  action: Action,
): Promise<void> {
  const { witness } = caller;
  const sentAt = machineMs();
  const ask = { by: "cancel" as const, thread, action, sentAt };
  const named = runIds.length > 0 ? runIds : [undefined];
  for (const run of named) witness.asked.push({ ...ask, run, isKept: false });
  const target =
    runIds.length > 0
      ? { case: "runs" as const, value: { threadId: thread, runIds: [...runIds] } }
      : { case: "filter" as const, value: { threadId: thread, status: LiveRunStatus.ALL } };
  const answer: Answer<CancelRunsResponse> | undefined = await repeat(caller, (member) =>
    witness.ask(member, "CancelRuns", ({ runs }, options) =>
      runs.cancelRuns({ target, action: actions[action] }, options),
    ),
  );
  for (const { runId, outcome } of answer?.value?.results ?? []) {
    if (kept.includes(outcome)) witness.asked.push({ ...ask, run: runId, isKept: true });
    if (outcome === CancelOutcome.NOT_FOUND) witness.tellGone(answer!, "cancel", runId);
  }
}
