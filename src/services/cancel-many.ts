import { create } from "@bufbuild/protobuf";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import * as pb from "../../gen/reins/v1/run_service_pb.ts";
import type { CancelRuns } from "../domain/cancel-runs.ts";
import { DomainError } from "../domain/errors.ts";
import type { ReadRuns } from "../domain/read-runs.ts";
import type { Run, RunName } from "../domain/run.ts";
import type { Outcomes } from "../stream/outcomes.ts";
import { fromAction, toOutcome, toStatus } from "./convert/run.ts";
import { msOf } from "./convert/time.ts";
import { owner } from "./owner.ts";

/** The most runs that one call cancels. */
const maxRuns = 10_000;

export interface CancelManyParts {
  readonly read: ReadRuns;
  readonly cancels: CancelRuns;
  readonly outcomes: Outcomes;
}

/** CancelRuns: which runs, the cancel itself, the wait, and an answer for each. */
export async function cancelMany(
  parts: CancelManyParts,
  request: pb.CancelRunsRequest,
  signal: AbortSignal,
): Promise<pb.CancelRunsResponse> {
  const { names, more } = await targets(parts, request.target);
  const wanted = { action: fromAction(request.action), reason: request.reason, requestedBy: "client" } as const;
  const outcomes = await parts.cancels.cancelAll(names, wanted);
  if (request.wait) await waitForAll(parts, outcomes, signal, msOf(request.waitTimeout));
  const results = names.map((name) => toResult(name, outcomes.get(name.runId)!));
  const counts = Map.groupBy(results, (result) => result.outcome);
  return create(pb.CancelRunsResponseSchema, {
    results,
    counts: [...counts].map(([outcome, group]) => ({ outcome, count: group.length })),
    more,
  });
}

async function targets(parts: CancelManyParts, target: pb.CancelRunsRequest["target"]) {
  if (target.case === "runs") {
    const threadId = target.value.threadId.toLowerCase();
    const ids = new Set(target.value.runIds.map((id) => id.toLowerCase()));
    return { names: [...ids].map((runId): RunName => ({ owner, threadId, runId })), more: false };
  }
  const { status, threadId } = target.value as pb.LiveRunFilter;
  const wanted = { [pb.LiveRunStatus.PENDING]: "pending", [pb.LiveRunStatus.RUNNING]: "running" } as const;
  const filter = {
    owner,
    threadId: threadId.toLowerCase() || undefined,
    status: wanted[status as keyof typeof wanted] ?? "all",
  };
  const found = await parts.read.live(filter, maxRuns + 1);
  return { names: found.slice(0, maxRuns) as RunName[], more: found.length > maxRuns };
}

async function waitForAll(
  parts: CancelManyParts,
  outcomes: Map<string, Run | DomainError>,
  signal: AbortSignal,
  timeoutMs: number | undefined,
): Promise<void> {
  await Promise.all(
    [...outcomes].map(async ([runId, run]) => {
      if (run instanceof DomainError) return;
      const over = await parts.outcomes.wait(run, signal, timeoutMs).catch(asOutcome);
      if (over) outcomes.set(runId, over);
    }),
  );
}

/** A run that was removed with its thread meanwhile does not hide the others. */
function asOutcome(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  throw error;
}

function toResult({ runId, threadId }: RunName, outcome: Run | DomainError): pb.CancelRunsResult {
  const result = { runId, threadId };
  if (!(outcome instanceof DomainError)) {
    const status = toStatus(outcome.status);
    return create(pb.CancelRunsResultSchema, {
      ...result,
      status,
      outcome: toOutcome(outcome.cancellation?.outcome ?? "requested"),
    });
  }
  if (outcome.reason === "RUN_NOT_CANCELLABLE") {
    const status = RunStatus[outcome.metadata.status as keyof typeof RunStatus] as RunStatus;
    return create(pb.CancelRunsResultSchema, { ...result, status, outcome: CancelOutcome.ALREADY_FINISHED });
  }
  return create(pb.CancelRunsResultSchema, { ...result, outcome: CancelOutcome.NOT_FOUND });
}
