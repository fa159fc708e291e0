import { createJournalSaver } from "../../checkpoints/journal-saver.ts";
import { WaitingTasks } from "../../checkpoints/waiting-tasks.ts";
import type { ChildMessage, Inspection, StateReport } from "../protocol.ts";
import type { AttemptHome } from "./attempt.ts";
import { drawGraph } from "./graph-drawing.ts";
import type { OpenGraph } from "./graph-registry.ts";
import { graphSchemas } from "./graph-schemas.ts";
import type { CompiledGraph, GraphState } from "./graph-types.ts";
import { reportState } from "./state-report.ts";
import { updateState } from "./update-state.ts";

type Answer = Pick<Extract<ChildMessage, { type: "inspected" }>, "states" | "description">;

/**
 * Reads a thread's state or history, edits its state, or reads the graph itself, with the graph's own code. Runs none of its
 * nodes; an edit calls its reducers and the functions of its conditional edges.
 */
export async function inspect(scope: string, inspection: Inspection, home: AttemptHome): Promise<Answer> {
  const open = await home.registry.open(inspection.graph, factoryConfig(inspection));
  if (inspection.kind === "graph" || inspection.kind === "schemas") {
    const description =
      inspection.kind === "graph" ? await drawGraph(open, inspection.subgraphDepth) : await graphSchemas(open);
    return { description };
  }
  return { states: await inspectThread(scope, inspection, open, home) };
}

/** What the graph's factory is called with; of what a run gives it, what says how the graph is made. */
function factoryConfig({ graph, opened }: Inspection): object {
  if (opened === undefined) return { configurable: {} };
  const { assistantId, configurable, context } = opened;
  const parse = (json: string | undefined): object => (json === undefined ? {} : (JSON.parse(json) as object));
  return {
    configurable: { ...parse(configurable), assistant_id: assistantId, graph_id: graph },
    ...(context !== undefined && { context: parse(context) }),
  };
}

async function inspectThread(
  scope: string,
  inspection: Extract<Inspection, { kind: "state" | "history" | "update" }>,
  { graph, instance }: OpenGraph,
  home: AttemptHome,
): Promise<StateReport[]> {
  const journal = home.channel.journal(scope);
  // The parent knows which thread the scope is bound to; here the id is a formality, and left out of what is reported.
  const configurable = { thread_id: scope, checkpoint_ns: inspection.checkpointNs ?? "" };
  const addressed = await subgraphAt(graph, configurable.checkpoint_ns);
  if (inspection.kind === "update") {
    await updateState(inspection, {
      graph,
      addressed,
      configurable,
      journal,
      items: home.channel.items(scope),
      checkpoint: instance.checkpoint,
    });
    return [];
  }
  const waiting = new WaitingTasks();
  const report = (state: GraphState) => reportState(anonymous(state), { omitValues: inspection.omitValues, waiting });
  const saver = createJournalSaver(instance.checkpoint, journal, { waiting });
  graph.checkpointer = saver;
  try {
    if (inspection.kind === "state") {
      const { checkpointId, subgraphs = false } = inspection;
      const at = { ...configurable, ...(checkpointId !== undefined && { checkpoint_id: checkpointId }) };
      return [report(await graph.getState({ configurable: at }, { subgraphs }))];
    }
    const { limit, beforeCheckpointId, metadata } = inspection;
    const before = beforeCheckpointId && { configurable: { ...configurable, checkpoint_id: beforeCheckpointId } };
    const options = { limit, ...(before && { before }), ...(metadata && { filter: metadata }) };
    const states: StateReport[] = [];
    for await (const state of graph.getStateHistory({ configurable }, options)) {
      states.push(report(state));
    }
    return states;
  } finally {
    saver.close();
  }
}

/**
 * The graph whose checkpoints the namespace holds. LangGraph shows a subgraph that it does not know of, since a node calls it
 * in its own code, with the nodes of the graph around it.
 */
async function subgraphAt(graph: CompiledGraph, checkpointNs: string): Promise<CompiledGraph> {
  if (checkpointNs === "") return graph;
  const path = withoutTaskIds(checkpointNs);
  for await (const [, subgraph] of graph.getSubgraphsAsync(path, true)) return subgraph;
  throw new Error(
    `it does not know of its subgraph "${path}": a node that calls a graph in its own code must name it in \`subgraphs\` of addNode`,
  );
}

/** "node:id|1|inner:id" is the subgraph of the node `inner` in that of the node `node`. */
const withoutTaskIds = (checkpointNs: string): string =>
  checkpointNs
    .split("|")
    .filter((part) => !/^\d+$/.test(part))
    .map((part) => part.split(":")[0])
    .join("|");

function anonymous(state: GraphState): GraphState {
  const { thread_id: _, ...metadata } = state.metadata ?? {};
  const tasks = state.tasks.map((task) =>
    task.state !== undefined && "config" in task.state ? { ...task, state: anonymous(task.state) } : task,
  );
  return { ...state, metadata, tasks };
}
