import { invalid } from "../check-metadata.ts";
import type { RunSpec } from "./run.ts";

/** What a graph consists of. `nodes` is undefined of one that is made anew for each run: it is then not known before. */
export interface GraphNodes {
  readonly nodes?: readonly string[];
  /** Those of its subgraphs, at any depth. */
  readonly nodesBelow?: readonly string[];
}

/** Throws INVALID_FIELD for a node that the graph does not have. A run may also pause at a node of a subgraph. */
export function checkNodes(spec: RunSpec, graph: string, { nodes, nodesBelow = [] }: GraphNodes = {}): void {
  if (!nodes) return;
  const check = (field: string, names: readonly string[], alsoAllowed: readonly string[] = []) => {
    const unknown = names.find((name) => !nodes.includes(name) && !alsoAllowed.includes(name));
    if (unknown === undefined) return;
    const others =
      alsoAllowed === pausable && nodesBelow.length > 0 ? `, those below are ${nodesBelow.join(", ")}` : "";
    throw invalid(field, `the graph "${graph}" has no node "${unknown}"; its nodes are ${nodes.join(", ")}${others}`);
  };
  const pausable = ["*", ...nodesBelow];
  check("spec.interrupt_before", spec.interruptBefore, pausable);
  check("spec.interrupt_after", spec.interruptAfter, pausable);
  check("spec.command.goto", spec.command?.goto ?? []);
  for (const [place, { node }] of (spec.command?.sends ?? []).entries()) {
    check(`spec.command.sends[${place}].node`, [node]);
  }
}
