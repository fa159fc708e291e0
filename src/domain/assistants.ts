import type { Assistant } from "./assistant.ts";
import type { GraphAssistants } from "./graph-assistants.ts";
import { assistantNotFound } from "./not-found.ts";
import type { AssistantStore } from "./ports.ts";
import type { AssistantOfRun } from "./run/run.ts";

/** What a run of an assistant executes. */
export interface ResolvedAssistant {
  readonly graph: string;
  readonly assistant: AssistantOfRun;
}

export type ResolveAssistant = (assistantId: string, owner: string) => Promise<ResolvedAssistant>;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Finds the graph and the configuration for an assistant: by a graph's name, or by the id of a graph's own or a configured
 * assistant. Throws GRAPH_NOT_FOUND for a name that is no graph, ASSISTANT_NOT_FOUND for an unknown id, GRAPH_UNAVAILABLE.
 * A graph's own is found without the database: most runs are of one.
 */
export function createResolveAssistant(
  graphAssistants: GraphAssistants,
  assistants: Pick<AssistantStore, "find">,
): ResolveAssistant {
  return async (assistantId, owner) => {
    const ofGraph = graphAssistants.find(assistantId, owner);
    if (!ofGraph && !uuid.test(assistantId)) throw graphAssistants.graphNotFound("assistant_id", assistantId);
    const found = ofGraph ?? (await assistants.find({ owner, assistantId: assistantId.toLowerCase() }));
    if (!found) throw assistantNotFound(assistantId);
    graphAssistants.checkUsable(found);
    return { graph: found.graph, assistant: ofRun(found) };
  };
}

/** What a run keeps of its assistant, so that a later change or deletion does not reach it. */
const ofRun = ({ assistantId, version, config, context }: Assistant): AssistantOfRun => ({
  assistantId,
  version,
  ...(config && { config }),
  ...(context !== undefined && { context }),
});
