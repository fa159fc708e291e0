import type { Assistant } from "../domain/assistant.ts";
import { createResolveAssistant, type ResolveAssistant } from "../domain/assistants.ts";
import { createEditAssistants, type EditAssistants } from "../domain/edit-assistants.ts";
import { createGraphAssistants } from "../domain/graph-assistants.ts";
import { createReadAssistants, type ReadAssistants } from "../domain/read-assistants.ts";
import type { GraphDrawing, GraphReport, GraphSchemas, GraphSpec } from "../worker/protocol.ts";
import type { AppParts } from "./parts.ts";

export interface AssistantsOptions extends Pick<AppParts, "stores" | "host"> {
  readonly graphs: readonly GraphSpec[];
  readonly reports: readonly GraphReport[];
  readonly now: () => Date;
}

/** The assistants of this server: what the services call, and how a run finds its own. */
export interface Assistants {
  readonly edit: EditAssistants;
  readonly read: ReadAssistants<GraphDrawing, GraphSchemas>;
  readonly resolve: ResolveAssistant;
}

/** Wires the domain of assistants. */
export function createAssistants({ stores, host, graphs, reports, now }: AssistantsOptions): Assistants {
  const { assistants } = stores;
  const specs = new Map(graphs.map((spec) => [spec.name, spec]));
  const graphAssistants = createGraphAssistants(
    reports.map(({ name, problem }) => {
      const { description, config, context } = specs.get(name) ?? {};
      return { name, problem, description, config, context };
    }),
  );
  return {
    edit: createEditAssistants({ graphAssistants, assistants, now }),
    read: createReadAssistants({
      graphAssistants,
      assistants,
      draw: (assistant, subgraphDepth) => host.inspect(undefined, { kind: "graph", ...open(assistant), subgraphDepth }),
      schemas: (assistant) => host.inspect(undefined, { kind: "schemas", ...open(assistant) }),
    }),
    resolve: createResolveAssistant(graphAssistants, assistants),
  };
}

const open = ({ graph, assistantId, config, context }: Assistant) => ({
  graph,
  opened: { assistantId, configurable: config?.configurable, context },
});
