import type { Assistant } from "./assistant.ts";
import { DomainError } from "./errors.ts";
import { graphAssistantId } from "./ids.ts";
import { graphNotFound } from "./not-found.ts";

/** A graph of `langgraph.json` as it was found at the start. */
export interface KnownGraph {
  readonly name: string;
  readonly description?: string;
  /** What its own assistant puts under the configuration and the context of each run. */
  readonly config?: Assistant["config"];
  readonly context?: Assistant["context"];
  /** Why it cannot be used. */
  readonly problem?: string;
}

/** The graphs of `langgraph.json` and the assistants that they are by themselves. */
export interface GraphAssistants {
  /** By the graph's name or the assistant's id; also of a graph that cannot be used. */
  find(nameOrId: string, owner: string): Assistant | undefined;
  /** By the graphs' names. */
  all(owner: string): Assistant[];
  /** Throws GRAPH_NOT_FOUND for a name that is no graph; `field` is where it stands. */
  checkGraph(field: string, graph: string): void;
  graphNotFound(field: string, graph: string): DomainError;
  /** Throws GRAPH_UNAVAILABLE for an assistant whose graph is broken, or not in `langgraph.json` any more. */
  checkUsable(assistant: Assistant): void;
}

/** As LangGraph's servers mark them: programs look for it to find a graph's own assistant. */
const metadata = { created_by: "system" };

export function createGraphAssistants(graphs: readonly KnownGraph[]): GraphAssistants {
  const byName = new Map(graphs.map((graph) => [graph.name, graph]));
  const byId = new Map(graphs.map((graph) => [graphAssistantId(graph.name), graph]));
  const sorted = graphs.toSorted((a, b) => (a.name < b.name ? -1 : 1));

  const assistantOf = ({ name, description = "", config, context }: KnownGraph, owner: string): Assistant => ({
    owner,
    assistantId: graphAssistantId(name),
    graph: name,
    name,
    description,
    config,
    context,
    metadata,
    version: 1,
    system: true,
  });

  const notFound = (field: string, graph: string) => graphNotFound(byName.keys(), field, graph);

  return {
    find(nameOrId, owner) {
      const graph = byName.get(nameOrId) ?? byId.get(nameOrId.toLowerCase());
      return graph && assistantOf(graph, owner);
    },
    all: (owner) => sorted.map((graph) => assistantOf(graph, owner)),
    checkGraph(field, graph) {
      if (!byName.has(graph)) throw notFound(field, graph);
    },
    graphNotFound: notFound,
    checkUsable({ assistantId, graph }) {
      const known = byName.get(graph);
      const problem = known ? known.problem : `its graph "${graph}" is not in langgraph.json any more`;
      if (problem === undefined) return;
      throw new DomainError("GRAPH_UNAVAILABLE", `assistant_id: ${problem}`, {
        metadata: { assistant_id: assistantId, graph_id: graph },
      });
    },
  };
}
