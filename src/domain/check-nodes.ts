import { invalid } from "./check-metadata.ts";
import type { RunSpec } from "./run.ts";

/**
 * Throws INVALID_FIELD for a node that the graph does not have. `nodes` is undefined for a graph that is made anew for each
 * run: what it consists of is then not known before.
 */
export function checkNodes(spec: RunSpec, graph: string, nodes: readonly string[] | undefined): void {
  if (!nodes) return;
  const check = (field: string, names: readonly string[], alsoAllowed?: string) => {
    const unknown = names.find((name) => name !== alsoAllowed && !nodes.includes(name));
    if (unknown === undefined) return;
    throw invalid(field, `the graph "${graph}" has no node "${unknown}"; its nodes are ${nodes.join(", ")}`);
  };
  check("spec.interrupt_before", spec.interruptBefore, "*");
  check("spec.interrupt_after", spec.interruptAfter, "*");
  check("spec.command.goto", spec.command?.goto ?? []);
  for (const [place, { node }] of (spec.command?.sends ?? []).entries()) {
    check(`spec.command.sends[${place}].node`, [node]);
  }
}
