import type { HandlerContext } from "@connectrpc/connect";
import { MultitaskStrategy, OnCompletion, type ParentRun } from "../../gen/reins/v1/run_pb.ts";
import * as pb from "../../gen/reins/v1/run_service_pb.ts";
import { type AuthUser, identityOf } from "../access/identity.ts";
import { newId } from "../domain/ids.ts";
import type { NewRun } from "../domain/run/new-run.ts";
import type { CallerOfRun, ParentOfRun, RunName } from "../domain/run/run.ts";
import { fromSpec } from "./convert/spec.ts";
import { sightKey } from "./sight.ts";

/** A request for a run as the domain knows it. `place`: which of the request's runs it is. */
export function newRun(
  context: HandlerContext,
  request: pb.CreateRunRequest,
  specPath: string,
  place = 0,
): NewRun & RunName {
  const { owner, actor, user } = identityOf(context);
  const { born, mayEnter } = context.values.get(sightKey);
  const { onCompletion, multitaskStrategy } = request.spec!;
  return {
    owner,
    actor: actor || undefined,
    threadId: request.threadId.toLowerCase() || newId(),
    stateless: request.threadId === "" ? { temporary: onCompletion !== OnCompletion.KEEP } : undefined,
    given: {
      ifNotExists: request.ifNotExists !== pb.IfNotExists.UNSPECIFIED,
      multitaskStrategy: multitaskStrategy !== MultitaskStrategy.UNSPECIFIED,
      onCompletion: onCompletion !== OnCompletion.UNSPECIFIED,
    },
    runId: request.runId.toLowerCase() || newId(),
    isChosenId: request.runId !== "",
    spec: { ...fromSpec(request.spec!, specPath), ...(user && { caller: callerOf(user, born?.[place]) }) },
    createThread: request.ifNotExists === pb.IfNotExists.CREATE,
    requestId: request.requestId || undefined,
    parent: request.parent && toParent(request.parent),
    mayEnter,
  };
}

const toParent = ({ threadId, runId, independent }: ParentRun): ParentOfRun => ({
  threadId: threadId.toLowerCase(),
  runId: runId.toLowerCase(),
  independent,
});

const callerOf = (user: AuthUser, threadMetadata: CallerOfRun["threadMetadata"] = {}): CallerOfRun => ({
  identity: user.identity,
  user: JSON.stringify(user),
  threadMetadata,
});
