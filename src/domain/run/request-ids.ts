import { createHash } from "node:crypto";
import { type CanonicalOf, CanonicalText, canonical } from "../canonical-json.ts";
import { DomainError } from "../errors.ts";
import { runNotFound } from "../not-found.ts";
import type { RequestStore, RunStore } from "../ports.ts";
import type { CreateRun } from "./create-run.ts";
import type { FindRun } from "./find-run.ts";
import type { NewRun } from "./new-run.ts";
import type { Json, Run } from "./run.ts";

export interface RequestIdsParts {
  readonly requests: RequestStore;
  readonly findRun: FindRun;
  readonly runs: Pick<RunStore, "tombstone">;
  readonly createRun: CreateRun;
  readonly canonicalOf: CanonicalOf;
}

/** Makes retries safe: the same request id with the same request is the same request. */
export interface RequestIds {
  /**
   * The request with the ids that it will have: those that an earlier request with the same id was given. Throws
   * REQUEST_EXISTS when that one asked for something else.
   */
  identify(request: NewRun): Promise<NewRun>;
  /** Creates the run, or answers the one that the same request has created, as it is now. RUN_NOT_FOUND when that one is gone. */
  createRun: CreateRun;
}

export function createRequestIds({ requests, findRun, runs, createRun, canonicalOf }: RequestIdsParts): RequestIds {
  async function identify(request: NewRun): Promise<NewRun> {
    const { owner, requestId, threadId, runId } = request;
    if (!requestId || request.remembered) return request;
    const hash = hashOf(await bodyOf(request, canonicalOf));
    const remembered = await requests.remember({ owner, requestId, hash, threadId, runId });
    if (remembered.hash !== hash) throw requestExists(requestId);
    return { ...request, threadId: remembered.threadId, runId: remembered.runId, remembered };
  }

  /** The run that this request, or a twin of it that runs at the same time, has stored. */
  async function storedBy({ request, ...name }: NewRun & { request: string }): Promise<Run | undefined> {
    const run = (await findRun(name)) ?? (await runs.tombstone(name));
    return run?.request === request ? run : undefined;
  }

  async function create(asked: NewRun): Promise<Run> {
    const identified = await identify(asked);
    const { remembered } = identified;
    if (!remembered) return createRun(identified);
    const wanted = { ...identified, request: `${remembered.requestId} ${remembered.hash}` };
    if (!remembered.isMine) {
      const run = await storedBy(wanted);
      if (run) return run;
      if (remembered.created) throw runNotFound(wanted);
    }
    try {
      const run = await createRun(wanted);
      await requests.done(remembered);
      return run;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const twins = await storedBy(wanted);
      if (twins) return twins;
      await requests.refused(remembered);
      throw error;
    }
  }

  return { identify, createRun: create };
}

const withoutGiven = { input: undefined, command: undefined, config: undefined, context: undefined };

/** Everything that the client asked for; an id only if the client chose it. */
export async function bodyOf(
  { threadId, runId, isChosenId, spec, createThread, parent, stateless }: NewRun,
  canonicalOf: CanonicalOf,
): Promise<object> {
  const { input, command, config, context } = spec;
  // A payload counts by its value, however it was written. Wrapped, so that null differs from nothing.
  const payloadOf = async (text: Json | undefined) =>
    text === undefined ? undefined : [new CanonicalText(await canonicalOf(text))];
  return {
    threadId: stateless ? undefined : threadId,
    runId: isChosenId ? runId : undefined,
    createThread,
    parent,
    // What else is known of the caller may differ from one credential of the same user to the next.
    spec: { ...spec, ...withoutGiven, caller: spec.caller?.identity },
    input: await payloadOf(input),
    context: await payloadOf(context),
    command: command && {
      ...command,
      resume: await payloadOf(command.resume),
      update: await payloadOf(command.update),
    },
    config: config && { ...config, configurable: await payloadOf(config.configurable) },
  };
}

/** Equal for values that are equal as JSON, whatever the order of their fields. */
export const hashOf = (body: unknown): string => createHash("sha256").update(canonical(body)).digest("base64url");

export const requestExists = (requestId: string): DomainError =>
  new DomainError(
    "REQUEST_EXISTS",
    `request_id: "${requestId}" came with another request before; repeat that one as it was, or choose another id`,
    { metadata: { request_id: requestId } },
  );
