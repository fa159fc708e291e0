import * as pb from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { streamModes } from "../domain/transitions.ts";

/** JSON Schemas of what the routes answer, by the names that OpenAPI has them under. Fields that are not named may be there as well. */
export type Schema = Readonly<Record<string, unknown>>;

export const any: Schema = {};
const text: Schema = { type: "string" };
const uuid: Schema = { type: "string", format: "uuid" };
const time: Schema = { type: "string", format: "date-time" };
const whole: Schema = { type: "integer" };
const flag: Schema = { type: "boolean" };
const free: Schema = { type: "object", additionalProperties: true };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });
export const listOf = (items: Schema): Schema => ({ type: "array", items });
export const refTo = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** An object that has these fields; those whose names end in "?" may be missing. */
function object(fields: Readonly<Record<string, Schema>>): Schema {
  const named = Object.entries(fields).map(([name, schema]) => [name.replace(/\?$/, ""), schema] as const);
  const required = Object.keys(fields).filter((name) => !name.endsWith("?"));
  return { type: "object", properties: Object.fromEntries(named), ...(required.length > 0 && { required }) };
}

/** The names of an enum of the protos, as this API writes them; what stands for none of them is left out. */
const namesOf = (numbers: Readonly<Record<string, string | number>>): Schema => ({
  type: "string",
  enum: Object.entries(numbers)
    .filter(([, number]) => typeof number === "number" && number !== 0)
    .map(([name]) => name.toLowerCase()),
});

const runStatus = namesOf(pb.RunStatus);
const checkpointFields = { "checkpoint_id?": text, "thread_id?": text, checkpoint_ns: text, "checkpoint_map?": free };

export const schemas: Readonly<Record<string, Schema>> = {
  Error: object({ detail: text }),
  RunError: object({ error: text, message: text }),
  Cancellation: object({
    action: namesOf(pb.CancelAction),
    reason: text,
    requested_by: text,
    "actor?": text,
    "requested_at?": time,
    "settled_at?": time,
    outcome: namesOf(pb.CancelOutcome),
  }),
  WebhookDelivery: object({
    state: namesOf(pb.WebhookState),
    tries: whole,
    last_try_time: orNull(time),
    last_error: orNull(text),
    next_try_time: orNull(time),
  }),
  Run: object({
    run_id: uuid,
    thread_id: uuid,
    assistant_id: text,
    created_at: time,
    updated_at: time,
    status: runStatus,
    metadata: free,
    "kwargs?": object({
      input: any,
      command: any,
      config: free,
      context: any,
      stream_mode: listOf({ enum: streamModes }),
    }),
    multitask_strategy: namesOf(pb.MultitaskStrategy),
    attempt: whole,
    "error?": refTo("RunError"),
    "cancellation?": refTo("Cancellation"),
    cancel_reason: orNull(text),
    "webhook_delivery?": refTo("WebhookDelivery"),
  }),
  Interrupt: object({ id: text, value: any }),
  Thread: object({
    thread_id: uuid,
    created_at: time,
    updated_at: time,
    state_updated_at: time,
    metadata: free,
    status: namesOf(ThreadStatus),
    config: free,
    values: any,
    interrupts: { type: "object", additionalProperties: listOf(refTo("Interrupt")) },
    error: orNull(refTo("RunError")),
    "ttl?": object({ strategy: text, ttl_minutes: { type: "number" } }),
    "extracted?": free,
  }),
  Checkpoint: object(checkpointFields),
  StateTask: object({
    id: text,
    name: text,
    path: listOf(any),
    error: orNull(text),
    interrupts: listOf(refTo("Interrupt")),
    checkpoint: orNull(refTo("Checkpoint")),
    state: orNull(refTo("ThreadState")),
    result: any,
  }),
  ThreadState: object({
    values: any,
    next: listOf(text),
    tasks: listOf(refTo("StateTask")),
    metadata: orNull(free),
    created_at: orNull(time),
    checkpoint: orNull(refTo("Checkpoint")),
    parent_checkpoint: orNull(refTo("Checkpoint")),
    interrupts: listOf(refTo("Interrupt")),
    checkpoint_id: orNull(text),
    parent_checkpoint_id: orNull(text),
  }),
  StateUpdate: object({ checkpoint: refTo("Checkpoint"), configurable: refTo("Checkpoint"), checkpoint_id: text }),
  Assistant: object({
    assistant_id: text,
    graph_id: text,
    config: free,
    context: any,
    metadata: free,
    name: text,
    description: orNull(text),
    created_at: time,
    updated_at: time,
    version: whole,
  }),
  Graph: object({
    nodes: listOf(object({ id: text, type: text, data: free, "metadata?": any })),
    edges: listOf(object({ source: text, target: text, "data?": text, "conditional?": flag })),
  }),
  GraphSchemas: object({
    graph_id: text,
    input_schema: any,
    output_schema: any,
    state_schema: any,
    config_schema: any,
    context_schema: any,
  }),
  Item: object({
    namespace: listOf(text),
    key: text,
    value: free,
    created_at: time,
    updated_at: time,
    "score?": orNull({ type: "number" }),
  }),
  Items: object({ items: listOf(refTo("Item")) }),
  Namespaces: object({ namespaces: listOf(listOf(text)) }),
  Pruned: object({ pruned_count: whole }),
  CommandAnswer: object({
    type: { enum: ["success", "error"] },
    id: whole,
    "result?": any,
    "error?": text,
    "message?": text,
  }),
  Cancelled: object({ __cancelled__: refTo("Cancellation") }),
  Ok: object({ ok: flag }),
  Info: object({ version: text, server: text, flags: { type: "object", additionalProperties: flag } }),
  Metrics: object({
    queue: object({ n_pending: whole, n_running: whole }),
    workers: object({ max: whole, active: whole, available: whole }),
  }),
};
