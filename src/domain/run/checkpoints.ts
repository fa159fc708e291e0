import { invalid } from "../check-metadata.ts";
import { checkpointNotFound } from "../not-found.ts";
import type { RunStore } from "../ports.ts";
import type { Thread } from "../thread.ts";
import type { CheckpointName, RunSpec } from "./run.ts";

/** A checkpoint as the journal has it. */
export interface FoundCheckpoint {
  readonly checkpointId: string;
  /** Where it was found: a subgraph that keeps one history for its thread has no task ids in its namespace. */
  readonly checkpointNs: string;
  /** The JSON-like fields at the top of its metadata. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Finds a checkpoint, or the newest of its namespace when no id is given. */
export type FindCheckpoint = (thread: Thread, name: CheckpointName) => Promise<FoundCheckpoint | undefined>;

/** The graph that a thread's state belongs to; undefined before the first run or edit. */
export type GraphOf = (thread: Thread) => Promise<string | undefined>;

/** That of the last run that started, else of the last edit, also of one whose server died before the thread knew of it. */
export function createGraphOf(runs: Pick<RunStore, "lastStarted">, find: FindCheckpoint): GraphOf {
  return async (thread) => {
    const last = await runs.lastStarted(thread);
    if (last) return last.graph;
    if (thread.state) return thread.state.graph;
    const newest = await find(thread, { checkpointNs: "" });
    return newest && graphOfCheckpoint(newest);
  };
}

/** The graph that made a checkpoint. */
export function graphOfCheckpoint({ fields }: FoundCheckpoint): string | undefined {
  return typeof fields.graph_id === "string" ? fields.graph_id : undefined;
}

/** What is meant by `checkpoint_id` and `checkpoint`, of which a request may set one; undefined for the newest. */
export function namedCheckpoint(
  request: { readonly checkpointId?: string; readonly checkpoint?: CheckpointName },
  prefix = "",
): { readonly name: CheckpointName; readonly field: string } | undefined {
  const { checkpointId, checkpoint } = request;
  if (checkpointId !== undefined && checkpoint) {
    throw invalid(`${prefix}checkpoint`, `must not be set together with ${prefix}checkpoint_id`);
  }
  if (checkpointId !== undefined) return { name: { checkpointId, checkpointNs: "" }, field: "checkpoint_id" };
  const isNewest = checkpoint?.checkpointId === undefined && checkpoint?.checkpointNs === "";
  return checkpoint && !(isNewest && !checkpoint.checkpointMap)
    ? { name: checkpoint, field: `${prefix}checkpoint` }
    : undefined;
}

/** Throws CHECKPOINT_NOT_FOUND, also for one that its map names, and INVALID_FIELD when the name contradicts itself. */
export async function requireCheckpoint(
  find: FindCheckpoint,
  thread: Thread,
  name: CheckpointName,
  field: string,
): Promise<FoundCheckpoint> {
  const found = await find(thread, name);
  if (!found) throw checkpointNotFound(thread.threadId, name, field);
  for (const [checkpointNs, checkpointId] of Object.entries(name.checkpointMap ?? {})) {
    const at = { checkpointNs, checkpointId };
    if (checkpointNs === name.checkpointNs && checkpointId !== found.checkpointId) {
      throw invalid(
        `${field}.checkpoint_map`,
        `names another checkpoint of "${checkpointNs}" than ${found.checkpointId}`,
      );
    }
    if (!(await find(thread, at))) throw checkpointNotFound(thread.threadId, at, `${field}.checkpoint_map`);
  }
  return found;
}

/** Throws INVALID_FIELD for a checkpoint that another graph made: its values would be read as something they are not. */
export function requireGraph(found: FoundCheckpoint, graph: string, field: string): void {
  const maker = graphOfCheckpoint(found);
  if (maker === undefined || maker === graph) return;
  throw invalid(
    field,
    `checkpoint ${found.checkpointId} was made by the graph "${maker}" and cannot be used with "${graph}"`,
  );
}

/** Where an execution begins: at the newest checkpoint when nothing is set. */
export interface RunStart {
  /** Of the graph itself. */
  readonly checkpointId?: string;
  /** To begin inside a subgraph: the checkpoints by their namespaces, the graph's own included. */
  readonly checkpointMap?: Readonly<Record<string, string>>;
}

/**
 * Where a run is to begin. A subgraph's checkpoint knows those that it was made under. One that is gone by now stays as it
 * was named, so that the execution fails with it.
 */
export async function startOf(
  spec: Pick<RunSpec, "checkpointId" | "checkpoint">,
  find: (name: CheckpointName) => Promise<FoundCheckpoint | undefined>,
): Promise<RunStart> {
  const name = namedCheckpoint(spec)?.name;
  if (!name) return {};
  if (name.checkpointNs === "") return { checkpointId: name.checkpointId };
  const found = await find(name);
  const { checkpointNs, checkpointId } = found ?? name;
  const checkpointMap = {
    ...(found && parentsOf(found)),
    ...name.checkpointMap,
    ...(checkpointId !== undefined && { [checkpointNs]: checkpointId }),
  };
  return { checkpointId: checkpointMap[""], checkpointMap };
}

/** LangGraph notes on a subgraph's checkpoint which ones of the graphs around it it was made under. */
function parentsOf({ fields: { parents } }: FoundCheckpoint): Record<string, string> {
  return typeof parents === "object" && parents !== null ? { ...(parents as Record<string, string>) } : {};
}
