import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import { CancelAction, CancelOutcome, RunStatus } from "../../../gen/reins/v1/run_pb.ts";
import { type CancelRunsResult, LiveRunStatus, RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { type ErrorAnswers, RestError } from "../errors.ts";
import { enumNamed, optional } from "../json/body-shapes.ts";
import { cancellationJson } from "../json/run.ts";
import { type Answer, flagParameter, oneOfParameter, type RestRequest, type Route, route } from "../route.ts";
import { joinedAt } from "../run-answers.ts";

const methods = RunService.method;
const actions = ["interrupt", "rollback"] as const;

/** The texts of LangGraph's server, version 0.16.7: they are all that tells its 404s apart. */
const notFound = "No runs found to cancel.";
const notCancellable =
  "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs haven't been deleted " +
  "or completed.";
const errors: ErrorAnswers = {
  RUN_NOT_FOUND: [404, () => notFound],
  THREAD_NOT_FOUND: [404, () => notFound],
  RUN_NOT_CANCELLABLE: [404, () => notCancellable],
};

/** What a cancel asks for. A misspelt parameter is refused: what it was to say would be lost. */
function actionOf({ query: given }: RestRequest<unknown>, allowed: object): CancelAction {
  given.only(Object.keys(allowed));
  return enumNamed(CancelAction, given.oneOf("action", actions) ?? "interrupt")!;
}

const query = { action: oneOfParameter("what becomes of the run; interrupt by default", actions) };
const oneQuery = {
  ...query,
  wait: flagParameter("answer when the run has really stopped"),
  reason: oneOfParameter("with interrupt: the client has taken the run's input into another run", ["taken"]),
};

/** LangGraph's SDKs know a run whose input was taken elsewhere by the beginning of its reason. */
function reasonOf({ query: given }: RestRequest, action: CancelAction): string | undefined {
  if (given.oneOf("reason", ["taken"]) === undefined) return undefined;
  if (action === CancelAction.INTERRUPT) return "taken: the run's input was taken into another run";
  throw new RestError(422, "Query parameter reason is allowed with action=interrupt only");
}

const isLive = (status: RunStatus): boolean => status === RunStatus.PENDING || status === RunStatus.RUNNING;

/** How long a cancel that need not wait is held all the same, so that what follows it finds the runs gone. */
const held = (graceMs: number) => ({ wait: true, waitTimeout: durationFromMs(graceMs + 1_000) });

async function cancelOne(request: RestRequest, graceMs: number): Promise<Answer> {
  const { params, invoke } = request;
  const name = { threadId: params.thread_id!, runId: params.run_id! };
  const action = actionOf(request, oneQuery);
  const reason = reasonOf(request, action);
  const wait = request.query.boolean("wait") ?? false;
  if (wait) {
    return {
      kind: "deferred",
      location: joinedAt,
      async body(onRunExists) {
        const { run: stopped } = await invoke.call(
          methods.cancelRun,
          { ...name, action, reason, wait: true },
          onRunExists,
        );
        return { __cancelled__: cancellationJson(stopped!.cancellation!) };
      },
    };
  }
  await invoke.call(methods.cancelRun, {
    ...name,
    action,
    reason,
    ...(action === CancelAction.ROLLBACK && held(graceMs)),
  });
  return { kind: "empty", status: 202 };
}

const bulkBody = z
  .object({
    status: optional(z.enum(["pending", "running", "all"])),
    thread_id: optional(z.guid({ error: "Invalid thread ID: must be a UUID" })),
    run_ids: optional(z.array(z.guid({ error: "Invalid run ID: must be a UUID" }))),
  })
  .refine(({ status, run_ids: ids }) => (status === undefined) !== (ids === undefined), {
    error:
      "either status, for all threads or the one of thread_id, or thread_id and run_ids must be given, and not both",
  })
  .refine(({ thread_id: thread, run_ids: ids }) => ids === undefined || thread !== undefined, {
    error: "run_ids need the thread_id that they belong to",
    path: ["thread_id"],
  });
type BulkBody = z.infer<typeof bulkBody>;

async function cancelMany(request: RestRequest<BulkBody>, graceMs: number): Promise<Answer> {
  const { status, thread_id: threadId, run_ids: ids } = request.body;
  const action = actionOf(request, query);
  if (ids) await cancelThese(request, { threadId: threadId!, runIds: [...new Set(ids.map((id) => id.toLowerCase()))] });
  else await cancelMatching({ status: enumNamed(LiveRunStatus, status)!, threadId });
  return { kind: "empty", status: 204 };

  async function cancelThese({ invoke }: RestRequest<BulkBody>, runs: { threadId: string; runIds: string[] }) {
    if (runs.runIds.length === 0) throw new RestError(404, notFound);
    const target = { case: "runs", value: runs } as const;
    const before = await invoke.call(methods.cancelRuns, { target, action, validateOnly: true });
    if (!before.results.some((result) => isLive(result.status))) throw new RestError(404, noneOf(before.results));
    await invoke.call(methods.cancelRuns, { target, action, ...held(graceMs) });
  }

  async function cancelMatching(filter: { status: LiveRunStatus; threadId: string | undefined }) {
    const target = { case: "filter", value: filter } as const;
    let found = 0;
    let pageToken = "";
    do {
      const wanted = { target, action, pageToken, ...held(graceMs) };
      const page = await request.invoke.call(methods.cancelRuns, wanted);
      found += page.results.length;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    if (found === 0) throw new RestError(404, notFound);
  }
}

const noneOf = (results: readonly CancelRunsResult[]): string =>
  results.every(({ outcome }) => outcome === CancelOutcome.NOT_FOUND) ? notFound : notCancellable;

/** Routes that stop runs. */
export const cancelRoutes = (graceMs: number): Route[] => [
  route({
    method: "POST",
    path: "/threads/:thread_id/runs/:run_id/cancel",
    is: "Stops a run.",
    query: oneQuery,
    errors,
    handle: (request) => cancelOne(request, graceMs),
  }),
  route({
    method: "POST",
    path: "/runs/cancel",
    is: "Stops runs of a thread, or all runs in a status.",
    query,
    body: bulkBody,
    errors,
    handle: (request) => cancelMany(request, graceMs),
  }),
];
