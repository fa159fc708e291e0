import { z } from "zod";
import { DomainError } from "../domain/errors.ts";
import { checkConfig } from "../domain/run/check-config.ts";
import type { GraphSpec } from "./protocol.ts";

const object = z.record(z.string(), z.unknown());

/** What LangGraph's servers read from `LANGGRAPH_CONFIG`: JSON, from a graph's name to the configuration of its own assistant. */
const shape = z.record(
  z.string(),
  z.object({
    tags: z.array(z.string()).default([]),
    recursion_limit: z.int().min(1).optional(),
    configurable: object.optional(),
    metadata: object.optional(),
    context: object.optional(),
  }),
);

/**
 * Puts onto each graph what the variable says of it. Throws a {@link DomainError} with a sentence for what is no such JSON, and
 * for a graph that there is not. `where` is the file that sets the variable.
 */
export function withLanggraphConfig(
  graphs: readonly GraphSpec[],
  variable: string | undefined,
  where: string,
): GraphSpec[] {
  const name = `${where}: "env.LANGGRAPH_CONFIG"`;
  const configs = variable ? read(variable, name) : new Map<string, never>();
  const unknown = [...configs.keys()].find((one) => !graphs.some((graph) => graph.name === one));
  if (unknown !== undefined) {
    throw invalid(name, `names the graph "${unknown}"; the graphs are ${graphs.map((graph) => graph.name).join(", ")}`);
  }
  return graphs.map((graph) => ({ ...graph, ...configs.get(graph.name) }));
}

function read(variable: string, name: string): Map<string, Pick<GraphSpec, "config" | "context">> {
  let value: unknown;
  try {
    value = JSON.parse(variable);
  } catch (error) {
    throw invalid(name, `is not valid JSON: ${(error as Error).message}`);
  }
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(name, `is no configuration of graphs: ${[...issue!.path.map(String), issue!.message].join(": ")}`);
  }
  return new Map(
    Object.entries(parsed.data).map(([graph, { context, tags, recursion_limit, configurable, metadata }]) => {
      const config = {
        tags,
        recursionLimit: recursion_limit,
        configurable: configurable && JSON.stringify(configurable),
        metadata: metadata && JSON.stringify(metadata),
      };
      checkConfig(config, `${name}: ${graph}`);
      return [graph, { config, context: context && JSON.stringify(context) }];
    }),
  );
}

const invalid = (name: string, what: string) => new DomainError("INVALID_FIELD", `${name} ${what}.`);
