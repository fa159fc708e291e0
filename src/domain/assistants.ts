import { DomainError } from "./errors.ts";
import { graphAssistantId } from "./ids.ts";
import type { AssistantOfRun } from "./run.ts";

/** A graph of `langgraph.json` as it was found at the start. */
export interface KnownGraph {
  readonly name: string;
  /** Why it cannot be used. */
  readonly problem?: string;
}

/** What a run of an assistant executes. */
export interface ResolvedAssistant {
  readonly graph: string;
  readonly assistant: AssistantOfRun;
}

export type ResolveAssistant = (assistantId: string) => Promise<ResolvedAssistant>;

/** Finds the graph for an assistant: by the graph's name, or by the id of the graph's own assistant. */
export function createResolveAssistant(graphs: readonly KnownGraph[]): ResolveAssistant {
  const byName = new Map(graphs.map((graph) => [graph.name, graph]));
  const byId = new Map(graphs.map((graph) => [graphAssistantId(graph.name), graph]));
  return async (assistantId) => {
    const graph = byName.get(assistantId) ?? byId.get(assistantId.toLowerCase());
    if (!graph) {
      throw new DomainError(
        "GRAPH_NOT_FOUND",
        `assistant_id: there is no assistant or graph "${assistantId}"; the graphs are ${[...byName.keys()].join(", ")}`,
        { metadata: { assistant_id: assistantId } },
      );
    }
    if (graph.problem !== undefined) {
      throw new DomainError("GRAPH_UNAVAILABLE", `assistant_id: ${graph.problem}`, {
        metadata: { assistant_id: assistantId },
      });
    }
    return { graph: graph.name, assistant: { assistantId: graphAssistantId(graph.name), version: 1 } };
  };
}
