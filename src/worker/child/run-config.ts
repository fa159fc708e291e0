import type { AttemptSpec } from "../protocol.ts";
import type { Pauses } from "./attempt-context.ts";
import type { CompiledGraph, LangGraphModule } from "./graph-types.ts";
import { libraryModes } from "./stream-output.ts";

/** What LangGraph is called with for an attempt, beside its input. */
export interface RunOptions {
  readonly configurable: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly [option: string]: unknown;
}

export function runOptions(spec: AttemptSpec, signal: AbortSignal): RunOptions {
  const ids = { run_id: spec.runId, thread_id: spec.threadId, assistant_id: spec.assistantId, graph_id: spec.graph };
  return {
    configurable: {
      ...parseObject(spec.config.configurable),
      ...ids,
      checkpoint_ns: "",
      ...(spec.checkpointId !== undefined && { checkpoint_id: spec.checkpointId }),
      // LangGraph looks up each subgraph's start in it.
      ...(spec.checkpointMap !== undefined && { checkpoint_map: { ...spec.checkpointMap } }),
    },
    // With `run_id` here LangGraph takes the same input for a resume: the retry after a crash.
    metadata: { ...parseObject(spec.metadata), ...ids },
    tags: [...spec.config.tags],
    runId: spec.runId,
    signal,
    durability: spec.durability,
    streamMode: libraryModes(spec.streamModes),
    subgraphs: spec.streamSubgraphs,
    ...(spec.config.recursionLimit !== undefined && { recursionLimit: spec.config.recursionLimit }),
    ...(spec.context !== undefined && { context: parseObject(spec.context) }),
    ...(spec.interruptBefore !== undefined && { interruptBefore: nodeNames(spec.interruptBefore) }),
    ...(spec.interruptAfter !== undefined && { interruptAfter: nodeNames(spec.interruptAfter) }),
  };
}

/** The input as LangGraph takes it: a value, a Command, or null to go on from where the thread stands. */
export function runInput(spec: AttemptSpec, { Command, Send }: LangGraphModule): unknown {
  if (spec.command !== undefined) {
    const { resume, update, goto = [], sends = [] } = spec.command;
    const targets = [...goto, ...sends.map(({ node, input }) => new Send(node, JSON.parse(input ?? "null")))];
    return new Command({
      ...(resume !== undefined && { resume: JSON.parse(resume) }),
      ...(update !== undefined && { update: JSON.parse(update) }),
      ...(targets.length > 0 && { goto: targets }),
    });
  }
  return spec.input === undefined ? null : JSON.parse(spec.input);
}

/** The nodes at which a run is to pause and which its own graph does not have. */
export function pausesBelow(
  { interruptBefore = [], interruptAfter = [] }: AttemptSpec,
  { nodes }: CompiledGraph,
): Pauses {
  const below = (names: readonly string[]) => names.filter((name) => name !== "*" && !Object.hasOwn(nodes, name));
  return { before: below(interruptBefore), after: below(interruptAfter) };
}

/** LangGraph's word for each node is not a list. */
function nodeNames(names: readonly string[]): "*" | string[] {
  return names.includes("*") ? "*" : [...names];
}

function parseObject(json: string | undefined): Record<string, unknown> {
  return json === undefined ? {} : (JSON.parse(json) as Record<string, unknown>);
}
