import type { GraphDrawing } from "../protocol.ts";
import type { OpenGraph } from "./graph-registry.ts";
import { toJsonText } from "./json-text.ts";

/** Nodes without a name of their own get a random id each time that a graph is drawn. */
const random = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Draws a graph, with so many levels of subgraphs in place of their nodes. The same graph gives the same ids each time. */
export async function drawGraph({ graph }: OpenGraph, subgraphDepth: number): Promise<GraphDrawing> {
  const drawn = await graph.getGraphAsync({ xray: subgraphDepth });
  const nodes = Object.values(drawn.nodes);
  const ids = new Map(nodes.map(({ id }, i) => [id, random.test(id) ? String(i) : id]));
  const idOf = (id: string) => ids.get(id) ?? id;
  return {
    nodes: nodes.map(({ id, name, metadata = {} }) => ({
      id: idOf(id),
      name,
      ...(Object.keys(metadata).length > 0 && { metadata: toJsonText(metadata) }),
    })),
    edges: drawn.edges.map(({ source, target, data, conditional }) => ({
      source: idOf(source),
      target: idOf(target),
      ...(typeof data === "string" && { label: data }),
      conditional: conditional === true,
    })),
  };
}
