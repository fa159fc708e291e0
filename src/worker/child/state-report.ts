import type { WaitingTasks } from "../../checkpoints/waiting-tasks.ts";
import type { InterruptReport, StateReport } from "../protocol.ts";
import { describeError } from "./describe-error.ts";
import type { GraphConfig, GraphState } from "./graph-types.ts";
import { toJsonText } from "./json-text.ts";

export interface ReportOptions {
  readonly omitValues: boolean;
  /** Whose questions are open: a task that was answered keeps its question until the whole step is done. */
  readonly waiting: WaitingTasks;
}

/** A StateSnapshot as the parent gets it. A thread or subgraph without a checkpoint has an empty one. */
export function reportState(state: GraphState, options: ReportOptions): StateReport {
  if (state.createdAt === undefined) return { checkpointNs: "", next: [], tasks: [], interrupts: [] };
  const own = checkpointOf(state.config);
  const parent = state.parentConfig && checkpointOf(state.parentConfig);
  const tasks = state.tasks.map((task) => reportTask(task, options));
  return {
    ...own,
    ...(parent?.checkpointId !== undefined && {
      parentCheckpointId: parent.checkpointId,
      parentCheckpointNs: parent.checkpointNs,
    }),
    ...(!options.omitValues && { values: toJsonText(state.values) }),
    next: [...state.next],
    tasks,
    metadata: toJsonText(state.metadata ?? {}),
    createdAt: state.createdAt,
    interrupts: tasks.filter(({ id }) => options.waiting.has(id)).flatMap((task) => task.interrupts),
  };
}

function reportTask(
  { id, name, error, interrupts, state, result }: GraphState["tasks"][number],
  options: ReportOptions,
): StateReport["tasks"][number] {
  return {
    id,
    name,
    ...(error !== undefined && error !== null && { error: errorText(error) }),
    interrupts: interrupts.map((one) => reportInterrupt(one, id)),
    ...(state !== undefined && { checkpoint: subgraphCheckpoint("config" in state ? state.config : state) }),
    ...(result !== undefined && !options.omitValues && { result: toJsonText(result) }),
    ...(state !== undefined && "config" in state && { state: reportState(state, options) }),
  };
}

function reportInterrupt(
  { id, value }: GraphState["tasks"][number]["interrupts"][number],
  taskId: string,
): InterruptReport {
  return { id: id ?? "", taskId, value: toJsonText(value) };
}

function errorText(error: unknown): string {
  const { name, message } = describeError(error);
  return `${name}: ${message}`;
}

function checkpointOf({ configurable = {} }: GraphConfig): {
  checkpointId?: string;
  checkpointNs: string;
  checkpointMap?: Readonly<Record<string, string>>;
} {
  const { checkpoint_id: id, checkpoint_ns: ns, checkpoint_map: map } = configurable;
  const checkpointNs = typeof ns === "string" ? ns : "";
  return {
    ...(typeof id === "string" && { checkpointId: id }),
    checkpointNs,
    // On a checkpoint of the graph itself it would only say from which subgraph's one its run has started.
    ...(checkpointNs !== "" && isMap(map) && { checkpointMap: { ...map } }),
  };
}

const isMap = (map: unknown): map is Readonly<Record<string, string>> => typeof map === "object" && map !== null;

/** LangGraph names the subgraph's namespace; which of its checkpoints is the newest it leaves open. */
function subgraphCheckpoint(config: GraphConfig): NonNullable<StateReport["tasks"][number]["checkpoint"]> {
  return { checkpointId: "", ...checkpointOf(config) };
}
