/** How a step behaves: it hears the signal, does not hear it, blocks its process, does two things at a time, fails, or asks. */
export const manners = ["polite", "deaf", "busy", "fan", "fails", "asks"] as const;
export type Manner = (typeof manners)[number];

export interface Step {
  readonly manner: Manner;
  readonly ms: number;
}

/** What a run does: its name for the ledger, and its steps one after the other. */
export interface Plan {
  readonly work: string;
  readonly steps: readonly Step[];
}

/** What a run that comes to its end has put into the thread's log, step by step. */
export function logOf({ work, steps }: Plan): string[][] {
  return steps.flatMap(({ manner }, at) => {
    if (manner === "asks" || manner === "fails") return [];
    const nodes = manner === "fan" ? ["left", "right"] : ["step"];
    return [nodes.map((node) => `${work} ${at} ${node}`)];
  });
}

/** Which run of the log an entry is of. */
export const workOf = (entry: string): string => entry.split(" ")[0]!;
