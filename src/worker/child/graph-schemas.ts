import type { GraphSchemas } from "../protocol.ts";
import type { OpenGraph } from "./graph-registry.ts";
import { toJsonText } from "./json-text.ts";

/**
 * The JSON Schemas of a graph. One that is described with zod or a StateSchema says what its values are; one with annotations,
 * or with types that no JSON has, only how they are named; the functional API says nothing.
 */
export async function graphSchemas({ graph, instance }: OpenGraph): Promise<GraphSchemas> {
  const of = await instance.schemas();
  const { _inputDefinition: input, _outputDefinition: output, _schemaDefinition: state } = graph.builder ?? {};
  // LangGraph checks the context with it; without a context, `config.configurable`.
  const config = schemaText(() => of.getConfigTypeSchema(graph), undefined);
  return {
    input: schemaText(() => of.getInputTypeSchema(graph), input),
    output: schemaText(() => of.getOutputTypeSchema(graph), output),
    state: schemaText(() => of.getStateTypeSchema(graph), state),
    config,
    context: config,
  };
}

function schemaText(described: () => object | undefined, channels: object | undefined): string | undefined {
  const schema = attempted(described) ?? (channels && namesOnly(channels));
  return schema && toJsonText(schema);
}

function attempted(described: () => object | undefined): object | undefined {
  try {
    return described();
  } catch {
    return undefined;
  }
}

const namesOnly = (channels: object) => ({
  type: "object",
  properties: Object.fromEntries(Object.keys(channels).map((name) => [name, {}])),
});
