import { z } from "zod";
import { isObjectText } from "../domain/run/check-config.ts";
import { type StreamMode, streamModes } from "../domain/transitions.ts";
import { journalRequests, type Shape } from "./child-journal-shapes.ts";
import type {
  AttemptEnd,
  ChildMessage,
  ErrorReport,
  GraphDrawing,
  GraphReport,
  GraphSchemas,
  InterruptReport,
  ItemOperation,
  StateReport,
} from "./protocol.ts";

/**
 * Longer texts are read by {@link isJson}, which takes several turns of the event loop: parsing them here would hold up everybody.
 */
const readTextLength = 256 * 1024;

/** The long texts of the message that is being read, and those of them that are known to be no JSON. */
let long: string[] = [];
let knownBroken: readonly string[] = [];

/**
 * Reads a message by these shapes, in one go. Its long texts count as JSON unless they are among `broken`, and are answered to be looked
 * at.
 */
export function collectLongTexts<T>(
  broken: readonly string[],
  read: () => T,
): { read: T; longTexts: readonly string[] } {
  long = [];
  knownBroken = broken;
  const longTexts = long;
  try {
    return { read: read(), longTexts };
  } finally {
    long = [];
    knownBroken = [];
  }
}

export function isJsonText(value: unknown): value is string {
  if (typeof value !== "string") return false;
  if (value.length <= readTextLength) return parses(value);
  if (knownBroken.includes(value)) return false;
  long.push(value);
  return true;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const isStreamMode = (value: unknown): value is StreamMode => streamModes.some((mode) => mode === value);

const json = z.custom<string>(isJsonText, "must be JSON text");
const jsonObject = z.custom<string>((text) => isJsonText(text) && isObjectText(text), "must be JSON text of an object");
const names = z.array(z.string());
const count = z.int().nonnegative();

const error = z.object({ name: z.string(), message: z.string() } satisfies Shape<ErrorReport>);

/** LangGraph's have some forty characters. A record has room for every one that a child may send. */
const id = z.string().max(200);

const interrupt = z.object({
  id,
  taskId: id,
  value: json,
} satisfies Shape<InterruptReport>);

const checkpointMap = z.record(z.string(), z.string());

const anyState: z.ZodType<StateReport> = z.object({
  checkpointId: id.optional(),
  checkpointNs: z.string(),
  checkpointMap: checkpointMap.optional(),
  parentCheckpointId: id.optional(),
  parentCheckpointNs: z.string().optional(),
  values: json.optional(),
  next: names,
  tasks: z.array(
    z.object({
      id,
      name: z.string(),
      error: z.string().optional(),
      interrupts: z.array(interrupt),
      checkpoint: z
        .object({ checkpointId: z.string(), checkpointNs: z.string(), checkpointMap: checkpointMap.optional() })
        .optional(),
      result: json.optional(),
      get state(): z.ZodType<StateReport | undefined> {
        return anyState.optional();
      },
    } satisfies Shape<StateReport["tasks"][number]>),
  ),
  metadata: jsonObject.optional(),
  createdAt: z
    .string()
    .refine((text) => !Number.isNaN(Date.parse(text)), "must be a time")
    .optional(),
  interrupts: z.array(interrupt),
} satisfies Shape<StateReport>);

/** One that holds itself would have no end. */
const deepestSubgraph = 100;

const hasEnd = ({ tasks }: StateReport, depth = 0): boolean =>
  depth <= deepestSubgraph && tasks.every((task) => task.state === undefined || hasEnd(task.state, depth + 1));

const state = anyState.refine((one) => hasEnd(one), "must not lie within itself");

const end = z
  .object({
    kind: z.literal(["success", "error", "refused", "stopped", "drained"]),
    error: error.optional(),
    state: state.optional(),
  } satisfies Shape<AttemptEnd>)
  .refine(
    ({ kind, error: why }) => (kind !== "error" && kind !== "refused") || why !== undefined,
    "must say what the error was",
  );

const graphReport = z.object({
  name: z.string(),
  problem: z.string().optional(),
  nodes: names.optional(),
  nodesBelow: names.optional(),
} satisfies Shape<GraphReport>);

const drawing = z.object({
  nodes: z.array(z.object({ id: z.string(), name: z.string(), metadata: jsonObject.optional() })),
  edges: z.array(
    z.object({ source: z.string(), target: z.string(), label: z.string().optional(), conditional: z.boolean() }),
  ),
} satisfies Shape<GraphDrawing>);

const schemas = z.strictObject({
  input: json.optional(),
  output: json.optional(),
  state: json.optional(),
  config: json.optional(),
  context: json.optional(),
} satisfies Shape<GraphSchemas>);

/**
 * What a graph's code has asked of the long-term memory is checked where clients' requests are, and answered with a sentence:
 * a mistake in it is no fault of the process.
 */
const asked = <T>() => z.custom<T>(() => true);
const jsonOfAny = z.string().refine(parses, "must be JSON text");
const item = { namespace: asked<readonly string[]>(), key: asked<string>() };
const page = { limit: asked<number>().optional(), offset: asked<number>().optional() };

const itemOperation = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("get"), ...item }),
  z.object({ kind: z.literal("put"), ...item, value: jsonOfAny }),
  z.object({ kind: z.literal("delete"), ...item }),
  z.object({
    kind: z.literal("search"),
    namespacePrefix: asked<readonly string[]>(),
    filter: jsonOfAny.optional(),
    ...page,
  }),
  z.object({
    kind: z.literal("namespaces"),
    match: z.array(z.object({ at: z.literal(["prefix", "suffix"]), labels: asked<readonly string[]>() })),
    maxDepth: asked<number>().optional(),
    ...page,
  }),
]) satisfies z.ZodType<ItemOperation>;

const request = { type: z.literal("request"), requestId: count, scope: z.string() };

/** The messages that {@link ChildMessage} names, but for output. Unknown fields are dropped. */
export const messageShapes = {
  loaded: z.object({ type: z.literal("loaded"), graphs: z.array(graphReport) }),
  request: z.discriminatedUnion("method", [
    ...journalRequests(request),
    z.object({ ...request, method: z.literal("items"), args: z.tuple([z.array(itemOperation)]) }),
  ]),
  end: z.object({ type: z.literal("end"), attemptId: z.string(), end }),
  inspected: z.object({
    type: z.literal("inspected"),
    scope: z.string(),
    states: z.array(state).optional(),
    description: z.union([drawing, schemas]).optional(),
    error: error.optional(),
    refused: z.literal(["values", "as_node"]).optional(),
  } satisfies Shape<Extract<ChildMessage, { type: "inspected" }>>),
  fault: z.object({
    type: z.literal("fault"),
    attemptId: z.string().optional(),
    error: error.extend({ stack: z.string().optional() }),
  }),
  pong: z.object({ type: z.literal("pong"), sequence: count, running: z.record(z.string(), count) }),
} satisfies {
  readonly [Type in Exclude<ChildMessage["type"], "output">]: z.ZodType<Extract<ChildMessage, { type: Type }>>;
};
