import { z } from "zod";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../../gen/reins/v1/thread_service_pb.ts";
import { DomainError, isDomainError } from "../../domain/errors.ts";
import { shortened } from "../../domain/shortened.ts";
import { maxDetail, type RestError } from "../errors.ts";
import type { Invoke } from "../invoke.ts";
import { jsonObject, optional } from "../json/body-shapes.ts";
import { payloadFormat, payloadJson, rawPayload } from "../json/payload.ts";
import { rawFields } from "../json/raw-json.ts";
import { timeText } from "../json/time.ts";
import { complaints } from "../read-body.ts";
import { type RunBody, runBody, toCreateRun } from "../run-body.ts";
import { protocolModes } from "./protocol-events.ts";

const runs = RunService.method;
const threads = ThreadService.method;

/** A command of LangChain's streaming protocol. */
export const commandBody = z.object({ id: z.int().min(0), method: z.string(), params: optional(jsonObject) });
type CommandBody = z.infer<typeof commandBody>;

/** A command that was refused, and why, in the protocol's terms. */
class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(shortened(message, maxDetail));
    this.code = code;
  }
}

export interface CommandParts {
  readonly invoke: Invoke;
  readonly threadId: string;
  /** An error in the edge's words; undefined for one that is not for clients to see. */
  readonly tell: (error: unknown) => RestError | undefined;
}

/** Does what a command says and answers it. Throws only what the client may try again. */
export async function answerCommand({ id, method, params = {} }: CommandBody, parts: CommandParts): Promise<object> {
  const run = Object.hasOwn(commands, method) ? commands[method] : undefined;
  try {
    if (!run)
      throw new CommandError("unknown_command", `unknown command ${JSON.stringify(method)}; there are ${names}`);
    return { type: "success", id, result: await run(params, parts), meta: { thread_id: parts.threadId } };
  } catch (error) {
    if (error instanceof CommandError) return { type: "error", id, error: error.code, message: error.message };
    const told = parts.tell(error);
    if (!told || told.status >= 500 || told.status === 429) throw error;
    return { type: "error", id, error: codeOf(error, told), message: told.message };
  }
}

type Command = (params: Record<string, unknown>, parts: CommandParts) => Promise<object>;

const commands: Record<string, Command> = {
  "run.start": startRun,
  "input.respond": respond,
  "state.get": getState,
  "state.listCheckpoints": listCheckpoints,
  "state.fork": fork,
};
const names = Object.keys(commands).join(", ");

const codeOf = (error: unknown, told: RestError): string => {
  const reason = error instanceof DomainError ? error.reason : "";
  if (reason === "CHECKPOINT_NOT_FOUND") return "no_such_checkpoint";
  if (reason === "INTERRUPT_NOT_OPEN") return "no_such_interrupt";
  if (told.status === 403) return "permission_denied";
  if (told.status === 404) return "no_such_run";
  return told.status === 400 || told.status === 422 ? "invalid_argument" : "unknown_error";
};

/** Parts of commands that are those of a run's creation: read as its body is. */
const common = {
  config: runBody.shape.config,
  metadata: runBody.shape.metadata,
  strict_resume: runBody.shape.strict_resume,
};
const strategy = runBody.shape.multitask_strategy;
const startParams = z.object({
  ...common,
  assistant_id: runBody.shape.assistant_id,
  input: z.unknown().optional(),
  /** Both spellings are sent, with the same value. */
  multitask_strategy: strategy,
  multitaskStrategy: strategy,
});
const answer = z.object({ interrupt_id: z.string(), response: z.unknown().optional() });
const respondParams = z.object({
  ...common,
  interrupt_id: optional(z.string()),
  response: z.unknown().optional(),
  responses: optional(z.array(answer)),
  update: optional(jsonObject),
  goto: z.unknown().optional(),
});
const resuming = z.object({ command: runBody.shape.command });
const forkParams = z.object({ ...common, checkpoint_id: z.guid(), input: z.unknown().optional() });

/** A new run; or, on a thread that waits for an answer, one that goes on with the input as that answer. */
async function startRun(params: Record<string, unknown>, parts: CommandParts): Promise<object> {
  const { input, assistant_id, multitask_strategy, multitaskStrategy, ...rest } = read(startParams, params);
  const isAnswer = isSet(input) && (await waitingInterrupts(parts)).length > 0;
  return createRun(parts, {
    ...rest,
    assistant_id,
    multitask_strategy: multitask_strategy ?? multitaskStrategy,
    ...(isAnswer ? { command: { resume: input, update: undefined, goto: undefined } } : { input }),
  });
}

async function respond(params: Record<string, unknown>, parts: CommandParts): Promise<object> {
  const { interrupt_id: one, response, responses, update, goto, ...rest } = read(respondParams, params);
  const answers = responses ?? (one === undefined ? [] : [{ interrupt_id: one, response }]);
  if (answers.length === 0) throw new CommandError("invalid_argument", "interrupt_id, or responses, must be given");
  const waiting = await waitingInterrupts(parts);
  const unknown = answers.find(({ interrupt_id: id }) => !waiting.includes(id));
  if (unknown) throw new CommandError("no_such_interrupt", `interrupt ${unknown.interrupt_id} waits for no answer`);
  const ids = answers.map(({ interrupt_id: id }) => id);
  const twice = ids.find((id, place) => ids.indexOf(id) < place);
  if (twice !== undefined) throw new CommandError("invalid_argument", `interrupt ${twice} is answered twice`);
  const resume = Object.fromEntries(answers.map(({ interrupt_id: id, response: value }) => [id, value ?? null]));
  const { command } = read(resuming, { command: { resume, update, goto } });
  await createRun(parts, { ...rest, assistant_id: await lastAssistant(parts), command });
  return {};
}

async function fork(params: Record<string, unknown>, parts: CommandParts): Promise<object> {
  const { checkpoint_id, input, ...rest } = read(forkParams, params);
  const made = await createRun(parts, { ...rest, assistant_id: await lastAssistant(parts), input, checkpoint_id });
  return { ...made, thread_id: parts.threadId };
}

async function getState(params: Record<string, unknown>, { invoke, threadId }: CommandParts): Promise<object> {
  const { keys } = read(z.object({ keys: optional(z.array(z.string())) }), params);
  const { state } = await invoke.call(threads.getThreadState, { threadId, payloadFormat });
  const checkpoint = state!.checkpoint && { id: state!.checkpoint.checkpointId, ns: state!.checkpoint.checkpointNs };
  if (!keys) return { values: rawPayload(state!.values, {}), checkpoint };
  const wanted = rawFields(payloadJson(state!.values) ?? "{}").filter(([name]) => keys.includes(name));
  return { values: Object.fromEntries(wanted), checkpoint };
}

async function listCheckpoints(params: Record<string, unknown>, { invoke, threadId }: CommandParts): Promise<object> {
  const shape = z.object({ limit: optional(z.int().min(1).max(1000)), before: optional(z.guid()) });
  const { limit = 10, before: beforeCheckpointId } = read(shape, params);
  const wanted = { threadId, limit, beforeCheckpointId, payloadFormat };
  const { states } = await invoke.call(threads.listThreadHistory, wanted);
  return {
    checkpoints: states.map(({ checkpoint, createdAt, metadata }) => ({
      id: checkpoint!.checkpointId,
      timestamp: createdAt && timeText(createdAt),
      step: metadata?.step,
      metadata,
    })),
  };
}

/** The run's output is that of which the protocol has events. */
async function createRun({ invoke, threadId }: CommandParts, body: Partial<RunBody>): Promise<{ run_id: string }> {
  const read: RunBody = {
    ...(body as RunBody),
    if_not_exists: "create",
    stream_mode: [...protocolModes],
    stream_subgraphs: true,
  };
  const { run } = await invoke.call(runs.createRun, toCreateRun(read, threadId));
  return { run_id: run!.runId };
}

async function waitingInterrupts({ invoke, threadId }: CommandParts): Promise<string[]> {
  try {
    const { thread } = await invoke.call(threads.getThread, { threadId, omitValues: true });
    return thread!.interrupts.map(({ id }) => id);
  } catch (error) {
    // A run's start makes the thread.
    if (isDomainError(error, "THREAD_NOT_FOUND")) return [];
    throw error;
  }
}

async function lastAssistant({ invoke, threadId }: CommandParts): Promise<string> {
  const { runs: newest } = await invoke.call(runs.listRuns, { threadId, pageSize: 1, omitSpec: true });
  if (newest[0]) return newest[0].assistantId;
  throw new CommandError("no_such_run", `thread ${threadId} has no run to go on from`);
}

function read<T>(shape: z.ZodType<T>, params: Record<string, unknown>): T {
  const result = shape.safeParse(params);
  if (result.success) return result.data;
  throw new CommandError("invalid_argument", complaints(result.error.issues));
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null;
