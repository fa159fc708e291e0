import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type * as assistants from "../../gen/reins/v1/assistant_service_pb.ts";
import { CancelOutcome } from "../../gen/reins/v1/run_pb.ts";
import type * as runs from "../../gen/reins/v1/run_service_pb.ts";
import type * as threads from "../../gen/reins/v1/thread_service_pb.ts";
import { DomainError, isDomainError } from "../domain/errors.ts";
import { runTarget, threadTarget } from "./audit.ts";
import { displaces, rpcKey } from "./needs.ts";

/** What the audit says of a call. */
export interface Audited {
  readonly targets: readonly string[];
  readonly outcome: string;
  /** Some stops are refused only when it is known what they would stop. */
  readonly decision?: "refused";
}

/** What a call is done to by its request, and what has come of it by its answer. */
interface Reading {
  readonly targets: (request: never) => readonly string[];
  readonly answered?: (answer: never) => Audited;
}

const created = (request: runs.CreateRunRequest | undefined) => {
  const threadId = request?.threadId ?? "";
  return [threadId === "" ? "a new thread" : threadTarget(threadId)];
};

/** Calls that stop or delete. */
const readings: Readonly<Record<string, Reading>> = {
  "RunService/CancelRun": {
    targets: (request: runs.CancelRunRequest) => [runTarget(request)],
    answered: ({ run, outcome }: runs.CancelRunResponse) => ({
      targets: run ? [runTarget(run)] : [],
      outcome: outcomeName(outcome),
    }),
  },
  "RunService/CancelRuns": {
    targets: ({ target }: runs.CancelRunsRequest) =>
      target.case === "runs"
        ? target.value.runIds.map((runId) => runTarget({ ...target.value, runId }))
        : ["by filter"],
    answered: ({ results, counts }: runs.CancelRunsResponse) => ({
      targets: results.map(runTarget),
      outcome: counts.map(({ outcome, count }) => `${count} ${outcomeName(outcome)}`).join(", ") || "none",
    }),
  },
  "RunService/DeleteRun": { targets: (request: runs.DeleteRunRequest) => [runTarget(request)] },
  "ThreadService/DeleteThread": { targets: (request: threads.DeleteThreadRequest) => [threadTarget(request.threadId)] },
  "ThreadService/PruneThreads": {
    targets: ({ threadIds }: threads.PruneThreadsRequest) => threadIds.map(threadTarget),
    answered: ({ prunedThreadIds }: threads.PruneThreadsResponse) => ({
      targets: prunedThreadIds.map(threadTarget),
      outcome: `${prunedThreadIds.length} pruned`,
    }),
  },
  "AssistantService/DeleteAssistant": {
    targets: ({ assistantId }: assistants.DeleteAssistantRequest) => [`assistant ${assistantId}`],
  },
  "RunService/CreateRun": { targets: created },
  "RunService/BatchCreateRuns": { targets: () => ["new threads"] },
  "RunService/WaitRun": { targets: ({ create }: runs.WaitRunRequest) => created(create) },
  "RunService/StreamRun": { targets: ({ create }: runs.StreamRunRequest) => created(create) },
};

const outcomeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(CancelOutcome).map(([name, number]) => [number, name.toLowerCase()]),
);
const outcomeName = (outcome: CancelOutcome): string => outcomeNames.get(outcome) ?? "";

/** What a call's answer or failure says; undefined for a call that neither stops nor deletes. */
export interface AuditedCall {
  answered(answer: unknown): Audited;
  /** Undefined for one that was wrong as such: nothing was decided about it. */
  failed(error: unknown): Audited | undefined;
}

export function auditedCall(method: DescMethod, request: Message): AuditedCall | undefined {
  const reading = readings[rpcKey(method)];
  if (!reading || !changes(method, request)) return undefined;
  const targets = () => reading.targets(request as never);
  return {
    answered: (answer) => reading.answered?.(answer as never) ?? { targets: targets(), outcome: "done" },
    failed: (error) =>
      isWrong(error)
        ? undefined
        : {
            targets: targets(),
            outcome: reasonOf(error),
            ...(isDomainError(error, "PERMISSION_DENIED") && { decision: "refused" }),
          },
  };
}

function changes(method: DescMethod, request: Message): boolean {
  switch (rpcKey(method)) {
    case "RunService/CancelRuns":
      return !(request as runs.CancelRunsRequest).validateOnly;
    case "RunService/CreateRun":
      return displaces(request as runs.CreateRunRequest);
    case "RunService/BatchCreateRuns":
      return (request as runs.BatchCreateRunsRequest).runs.some(displaces);
    case "RunService/WaitRun":
    case "RunService/StreamRun":
      return displaces((request as runs.WaitRunRequest | runs.StreamRunRequest).create);
    default:
      return true;
  }
}

const isWrong = (error: unknown): boolean =>
  error instanceof DomainError
    ? error.kind === "invalid"
    : error instanceof ConnectError && error.code === Code.InvalidArgument;

export function reasonOf(error: unknown): string {
  if (error instanceof DomainError) return error.reason;
  return error instanceof ConnectError ? `failed with code ${error.code}` : "failed";
}
