import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import * as pb from "../../gen/reins/v1/run_service_pb.ts";
import type { Identity } from "../access/identity.ts";
import { invalid } from "../domain/check-metadata.ts";
import { DomainError, orThrow } from "../domain/errors.ts";
import type { CancelRuns } from "../domain/run/cancel-runs.ts";
import type { CancelPreview, PreviewCancels } from "../domain/run/preview-cancels.ts";
import type { InSight, ReadRuns } from "../domain/run/read-runs.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Outcomes } from "../stream/outcomes.ts";
import { fromAction, toOutcome, toStatus } from "./convert/run.ts";
import { fromTime, msOf } from "./convert/time.ts";
import { sightKey } from "./sight.ts";

export interface CancelManyParts {
  readonly read: ReadRuns;
  readonly cancels: CancelRuns;
  readonly preview: PreviewCancels;
  readonly outcomes: Outcomes;
  /** The most runs that one call with a filter cancels; the next call goes on where it ended. */
  readonly cancelLimit: number;
}

/** CancelRuns: which runs, the cancel itself, the wait, and an answer for each. */
export async function cancelMany(
  parts: CancelManyParts,
  { owner, actor }: Identity,
  request: pb.CancelRunsRequest,
  { signal, values }: Pick<HandlerContext, "signal" | "values">,
): Promise<pb.CancelRunsResponse> {
  const { names, nextPageToken } = await targets(parts, owner, request, values.get(sightKey).inSight);
  const wanted = { action: fromAction(request.action), reason: request.reason, requestedBy: "client", actor } as const;
  const outcomes = request.validateOnly
    ? await parts.preview(names, wanted.action)
    : await parts.cancels.cancelAll(names, wanted).then(ended);
  const results = names.map((name) => toResult(name, outcomes.get(name.runId)!));
  const counts = Map.groupBy(results, (result) => result.outcome);
  return create(pb.CancelRunsResponseSchema, {
    results,
    counts: [...counts].map(([outcome, group]) => ({ outcome, count: group.length })),
    more: nextPageToken !== "",
    nextPageToken,
  });

  async function ended(runs: Map<string, Run | DomainError>): Promise<Map<string, CancelPreview | DomainError>> {
    if (request.wait) await waitForAll(parts, runs, signal, msOf(request.waitTimeout));
    return new Map([...runs].map(([id, run]) => [id, run instanceof DomainError ? run : toPreview(run)]));
  }
}

const toPreview = (run: Run): CancelPreview => ({
  status: run.status,
  outcome: run.cancellation?.outcome ?? "requested",
});

async function targets(
  parts: CancelManyParts,
  owner: string,
  { target, pageToken: token }: pb.CancelRunsRequest,
  inSight: InSight | undefined,
) {
  if (target.case === "runs") {
    if (token !== "")
      throw invalid("page_token", "goes with a filter only; a call with run ids takes all of them at once");
    const threadId = target.value.threadId.toLowerCase();
    const ids = new Set(target.value.runIds.map((id) => id.toLowerCase()));
    return { names: [...ids].map((runId): RunName => ({ owner, threadId, runId })), nextPageToken: "" };
  }
  const { status, threadId, metadata, createdBefore } = target.value as pb.LiveRunFilter;
  const wanted = { [pb.LiveRunStatus.PENDING]: "pending", [pb.LiveRunStatus.RUNNING]: "running" } as const;
  const filter = {
    owner,
    threadId: threadId.toLowerCase() || undefined,
    status: wanted[status as keyof typeof wanted] ?? ("all" as const),
    metadata,
    createdBefore: createdBefore && fromTime(createdBefore),
  };
  const page = await parts.read.live(filter, { limit: parts.cancelLimit, token, inSight });
  return { names: page.runs as RunName[], nextPageToken: page.nextPageToken };
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
      // A run that was removed with its thread meanwhile does not hide the others.
      const over = await parts.outcomes.wait(run, signal, timeoutMs).catch(orThrow);
      if (over) outcomes.set(runId, over);
    }),
  );
}

function toResult({ runId, threadId }: RunName, outcome: CancelPreview | DomainError): pb.CancelRunsResult {
  const result = { runId, threadId };
  if (!(outcome instanceof DomainError)) {
    const status = toStatus(outcome.status);
    return create(pb.CancelRunsResultSchema, {
      ...result,
      status,
      outcome: toOutcome(outcome.outcome),
    });
  }
  if (outcome.reason === "RUN_NOT_CANCELLABLE") {
    const status = RunStatus[outcome.metadata.status as keyof typeof RunStatus] as RunStatus;
    return create(pb.CancelRunsResultSchema, { ...result, status, outcome: CancelOutcome.ALREADY_FINISHED });
  }
  return create(pb.CancelRunsResultSchema, { ...result, outcome: CancelOutcome.NOT_FOUND });
}
