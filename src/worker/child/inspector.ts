import { createJournalSaver } from "../../checkpoints/journal-saver.ts";
import type { ChildMessage, Inspection, StateReport } from "../protocol.ts";
import type { AttemptHome } from "./attempt.ts";
import { drawGraph } from "./graph-drawing.ts";
import type { OpenGraph } from "./graph-registry.ts";
import { graphSchemas } from "./graph-schemas.ts";
import type { GraphState } from "./graph-types.ts";
import { reportState } from "./state-report.ts";

type Answer = Pick<Extract<ChildMessage, { type: "inspected" }>, "states" | "description">;

/** Reads a thread's state or history, or the graph itself, with the graph's own code. Runs none of its nodes. */
export async function inspect(scope: string, inspection: Inspection, home: AttemptHome): Promise<Answer> {
  const open = await home.registry.open(inspection.graph, factoryConfig(inspection));
  if (inspection.kind === "graph" || inspection.kind === "schemas") {
    const description =
      inspection.kind === "graph" ? await drawGraph(open, inspection.subgraphDepth) : await graphSchemas(open);
    return { description };
  }
  return { states: await readStates(scope, inspection, open, home) };
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

async function readStates(
  scope: string,
  inspection: Extract<Inspection, { kind: "state" | "history" }>,
  { graph, instance }: OpenGraph,
  home: AttemptHome,
): Promise<StateReport[]> {
  const saver = createJournalSaver(instance.checkpoint, home.channel.journal(scope));
  graph.checkpointer = saver;
  // The parent knows which thread the scope is bound to; here the id is a formality, and left out of what is reported.
  const thread = { thread_id: scope, checkpoint_ns: "" };
  try {
    if (inspection.kind === "state") {
      const { checkpointId, omitValues } = inspection;
      const configurable = { ...thread, ...(checkpointId !== undefined && { checkpoint_id: checkpointId }) };
      return [reportState(anonymous(await graph.getState({ configurable })), omitValues)];
    }
    const { limit, beforeCheckpointId, omitValues } = inspection;
    const before = beforeCheckpointId && { configurable: { ...thread, checkpoint_id: beforeCheckpointId } };
    const states: StateReport[] = [];
    for await (const state of graph.getStateHistory({ configurable: thread }, { limit, ...(before && { before }) })) {
      states.push(reportState(anonymous(state), omitValues));
    }
    return states;
  } finally {
    saver.close();
  }
}

function anonymous(state: GraphState): GraphState {
  const { thread_id: _, ...metadata } = state.metadata ?? {};
  return { ...state, metadata };
}
