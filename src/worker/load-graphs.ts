import type { Logger } from "pino";
import type { ChildWorker } from "./child-worker.ts";
import { ProcessLostError } from "./process-lost-error.ts";
import type { GraphReport, GraphSpec } from "./protocol.ts";
import { shuttingDown } from "./shutting-down.ts";

export interface LoadGraphsParts {
  readonly graphs: readonly GraphSpec[];
  /** The process that loads them all, and serves if it can. Undefined when the system has none to give. */
  readonly first: ChildWorker | undefined;
  /** A process for one graph. */
  readonly startTrial: () => ChildWorker | undefined;
  readonly isStopped: () => boolean;
  readonly log: Logger;
}

/** Loads every graph and reports the broken ones. It never rejects for a graph's sake. */
export async function loadGraphs(parts: LoadGraphsParts): Promise<readonly GraphReport[]> {
  const { graphs, first, isStopped, log } = parts;
  try {
    return await load(first, graphs);
  } catch (error) {
    if (isStopped()) throw shuttingDown();
    // Some graph hangs or ends the process when it is loaded. Alone, each shows whether it is the one.
    log.warn({ err: error }, "The graphs cannot be loaded together; each is tried alone");
  }
  const reports: GraphReport[] = [];
  for (const graph of graphs) reports.push(await loadAlone(graph, parts));
  return reports;
}

async function loadAlone(graph: GraphSpec, { startTrial, isStopped }: LoadGraphsParts): Promise<GraphReport> {
  const { name, file } = graph;
  const trial = startTrial();
  try {
    const [report] = await load(trial, [graph]);
    return report ?? { name, problem: `The graph "${name}" of ${file} was not reported` };
  } catch (error) {
    if (isStopped()) throw shuttingDown();
    return { name, problem: `The graph "${name}" of ${file} cannot be loaded: ${(error as Error).message}` };
  } finally {
    trial?.retire();
  }
}

async function load(child: ChildWorker | undefined, graphs: readonly GraphSpec[]): Promise<readonly GraphReport[]> {
  if (child === undefined) throw new ProcessLostError("the system has no process to give");
  child.loadGraphs(graphs);
  return child.loaded;
}
