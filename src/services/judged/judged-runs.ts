import type { JsonObject } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { CancelAction, type OnDisconnect } from "../../../gen/reins/v1/run_pb.ts";
import * as pb from "../../../gen/reins/v1/run_service_pb.ts";
import { type Judge, metadataOf } from "../../access/langgraph/judge.ts";
import { leavingStops } from "../../access/needs.ts";
import { matchesMetadata } from "../../domain/metadata-filter.ts";
import { parentNotFound, threadNotFound } from "../../domain/not-found.ts";
import { inBatch } from "../../domain/run/create-batch.ts";
import { newRun } from "../new-run.ts";
import { type Sight, sightKey } from "../sight.ts";
import { judged } from "./judged.ts";
import { checkAssistant } from "./judged-assistants.ts";
import { runQuestion } from "./run-question.ts";

type Runs = ServiceImpl<typeof pb.RunService>;

/** A run's creation as the file has left it. */
interface JudgedCreation {
  readonly request: pb.CreateRunRequest;
  readonly context: HandlerContext;
  readonly born: NonNullable<Sight["born"]>[number];
  readonly mayEnter: Sight["mayEnter"];
}

/** The handlers of runs, which ask an auth file what its users may do. A run is as its thread is. */
export function judgedRuns(runs: Runs, judge: Judge): Runs {
  async function creation(asked: pb.CreateRunRequest, path: string, context: HandlerContext): Promise<JudgedCreation> {
    const wanted = newRun(context, asked, path);
    const { threadId, createThread, stateless } = wanted;
    await checkParent(asked, context);
    const assistantId = await checkAssistant(judge, context, asked.spec!.assistantId);
    const ruling = await judge.rule(context, "threads:create_run", runQuestion(wanted, assistantId));
    const { within } = ruling;
    const metadata = metadataOf({ ...ruling, stamp: {} });
    const request = { ...asked, spec: { ...asked.spec!, metadata: metadata as JsonObject } };
    if (stateless) return { request, context, born: metadataOf(ruling), mayEnter: undefined };
    const made = { request, context, mayEnter: (thread: object) => matchesMetadata({ ...thread }, within) };
    const isSeen = await judge.isWithin(context, threadId, within);
    if (isSeen !== undefined || !createThread) {
      if (isSeen === false && createThread) throw threadNotFound(threadId);
      const its = isSeen === false ? judge.unseeing(context) : context;
      return { ...made, context: its, born: {} };
    }
    const value = { thread_id: threadId, metadata, if_exists: "do_nothing" };
    const birth = await judge.rule(context, "threads:create", { value });
    return { ...made, born: metadataOf(birth) };
  }

  /** A run that a run of somebody else's is said to have created would be stopped with it. */
  async function checkParent({ parent, threadId }: pb.CreateRunRequest, context: HandlerContext): Promise<void> {
    if (!parent || parent.threadId.toLowerCase() === threadId.toLowerCase()) return;
    const { within } = await judge.rule(context, "threads:read", {
      value: { thread_id: parent.threadId.toLowerCase() },
    });
    if (within.length === 0 || (await judge.isWithin(context, parent.threadId, within)) !== false) return;
    throw parentNotFound({ owner: "", threadId: parent.threadId.toLowerCase(), runId: parent.runId.toLowerCase() });
  }

  async function created(
    asked: pb.CreateRunRequest,
    path: string,
    context: HandlerContext,
  ): Promise<Pick<JudgedCreation, "request" | "context">> {
    const made = await creation(asked, path, context);
    made.context.values.set(sightKey, { born: [made.born], mayEnter: made.mayEnter });
    return made;
  }

  const onRun = (
    context: HandlerContext,
    event: "threads:read" | "threads:update" | "threads:delete",
    { threadId, runId }: { threadId: string; runId: string },
    more?: object,
  ) => judge.onThread(context, event, threadId, { run_id: runId.toLowerCase(), ...more });

  /** Whoever stops a run by leaving changes its thread. */
  async function joined(
    context: HandlerContext,
    request: { threadId: string; runId: string; onDisconnect: OnDisconnect },
  ): Promise<HandlerContext> {
    const reading = await onRun(context, "threads:read", request);
    if (!leavingStops(request.onDisconnect)) return reading.context;
    return (await onRun(reading.context, "threads:update", request, { action: "interrupt" })).context;
  }

  return judged(pb.RunService, runs, {
    async createRun(request, context) {
      const made = await created(request, "spec", context);
      return runs.createRun(made.request, made.context);
    },

    async batchCreateRuns(request, context) {
      const made: JudgedCreation[] = [];
      for (const [place, one] of request.runs.entries()) {
        // Ids belong to the server here, which says so itself.
        const stateless = { ...one, threadId: "", runId: "" };
        try {
          made.push(await creation(stateless, `runs[${place}].spec`, context));
        } catch (error) {
          throw inBatch(error, place);
        }
      }
      context.values.set(sightKey, { born: made.map(({ born }) => born) });
      const judgedOnes = request.runs.map((one, place) => ({ ...one, spec: made[place]!.request.spec! }));
      return runs.batchCreateRuns({ ...request, runs: judgedOnes }, context);
    },

    async waitRun(request, context) {
      const made = await created(request.create!, "create.spec", context);
      return runs.waitRun({ ...request, create: made.request }, made.context);
    },

    async *streamRun(request, context) {
      const made = await created(request.create!, "create.spec", context);
      yield* runs.streamRun({ ...request, create: made.request }, made.context);
    },

    async getRun(request, context) {
      return runs.getRun(request, (await onRun(context, "threads:read", request)).context);
    },

    async listRuns(request, context) {
      const { threadId } = request;
      if (threadId !== "") {
        return runs.listRuns(request, (await judge.onThread(context, "threads:read", threadId)).context);
      }
      const { within } = await judge.rule(context, "threads:search", { value: { thread_id: null } });
      context.values.set(sightKey, { inSight: judge.inSight(context, within) });
      return runs.listRuns(request, context);
    },

    async deleteRun(request, context) {
      return runs.deleteRun(request, (await onRun(context, "threads:delete", request)).context);
    },

    async joinRun(request, context) {
      return runs.joinRun(request, await joined(context, request));
    },

    async *joinRunStream(request, context) {
      yield* runs.joinRunStream(request, await joined(context, request));
    },

    async cancelRun(request, context) {
      const ruling = await onRun(context, "threads:update", request, actionOf(request));
      return runs.cancelRun(request, ruling.context);
    },

    async cancelRuns(request, context) {
      const { value } = request.target;
      const threadId = value?.threadId ?? "";
      if (threadId !== "") {
        const ruling = await judge.onThread(context, "threads:update", threadId, actionOf(request));
        return runs.cancelRuns(request, ruling.context);
      }
      const { within } = await judge.rule(context, "threads:update", {
        value: { thread_id: null, ...actionOf(request) },
      });
      context.values.set(sightKey, { inSight: judge.inSight(context, within) });
      return runs.cancelRuns(request, context);
    },
  });
}

const actionOf = ({ action }: { action: CancelAction }) => ({
  action: action === CancelAction.ROLLBACK ? "rollback" : "interrupt",
});
