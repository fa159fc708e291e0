import type { Inspect, StoragePort } from "./attempt-host.ts";
import { unreadable } from "./child-inspections.ts";
import type { ChildWorker } from "./child-worker.ts";
import { ProcessLostError } from "./process-lost-error.ts";
import type { Inspection, InspectionAnswer } from "./protocol.ts";
import { shuttingDown } from "./shutting-down.ts";

export interface InspectGraphsParts {
  /** A process that executes nothing, the best there is; it may still have to load. Undefined when there is none to have. */
  readonly idleChild: (owner: string | undefined) => ChildWorker | undefined;
  /** Starts a process for the inspections of one graph alone. Undefined when there is none to have. */
  readonly startApart: (graph: string) => ChildWorker | undefined;
  /** Resolves when a process may start again; undefined when one may start now. */
  readonly untilStart: () => Promise<void> | undefined;
  /** Why a graph cannot be used, if it cannot. */
  readonly problemOf: (graph: string) => string | undefined;
  readonly isStopped: () => boolean;
}

/** Whose question it is, and of which graph. */
const keyOf = (storage: StoragePort | undefined, { graph }: Inspection): string => `${storage?.owner} ${graph}`;

/** Processes for one graph alone. */
const maxApart = 4;

/**
 * Asks graphs in processes that execute no run meanwhile, so that a graph that hangs or ends its process hurts no run. While a question
 * keeps its process from turning, the others go on in processes of their graphs' own.
 */
export function createInspectGraphs(parts: InspectGraphsParts): Inspect {
  /** Of graphs that had a question in a process that stood still: each has one where it can only keep itself. */
  const apart = new Map<string, ChildWorker>();

  async function ask(storage: StoragePort | undefined, inspection: Inspection): Promise<InspectionAnswer> {
    const own = apart.get(keyOf(storage, inspection));
    if (own?.alive) return askApart(own, storage, inspection);
    const { answer, stalled } = await askIdle(storage, inspection);
    // An edit is asked for once.
    if (inspection.kind === "update") return answer;
    const answered = answer.then(
      () => true,
      () => true,
    );
    if (await Promise.race([answered, stalled.then(() => false)])) return answer;
    const other = apartOf(storage, inspection);
    if (other !== undefined) return askApart(other, storage, inspection);
    return parts.idleChild(storage?.owner) === undefined ? answer : (await askIdle(storage, inspection)).answer;
  }

  /** Asks as soon as there is a process for it; between the choice and the question no run can come. */
  async function askIdle(storage: StoragePort | undefined, inspection: Inspection) {
    for (;;) {
      const child = parts.idleChild(storage?.owner);
      if (child === undefined) {
        const startable = parts.untilStart();
        if (startable === undefined) throw new ProcessLostError("the system has no process to give");
        await startable;
        if (parts.isStopped()) throw shuttingDown();
        continue;
      }
      if (child.isReady) {
        if (storage) child.own(storage.owner);
        return child.inspect(storage, inspection);
      }
      await child.awaitLoaded();
    }
  }

  async function askApart(
    child: ChildWorker,
    storage: StoragePort | undefined,
    inspection: Inspection,
  ): Promise<InspectionAnswer> {
    await child.awaitLoaded();
    return child.inspect(storage, inspection).answer;
  }

  function apartOf(storage: StoragePort | undefined, inspection: Inspection): ChildWorker | undefined {
    const key = keyOf(storage, inspection);
    const there = apart.get(key);
    if (there?.alive) return there;
    if (apart.size >= maxApart) {
      const [unused, other] = [...apart].find(([, { isIdle }]) => isIdle) ?? [];
      if (unused === undefined) return undefined;
      other?.retire();
      apart.delete(unused);
    }
    const child = parts.startApart(inspection.graph);
    if (child === undefined) return undefined;
    if (storage) child.own(storage.owner);
    apart.set(key, child);
    void child.closed.then(() => {
      if (apart.get(key) === child) apart.delete(key);
    });
    return child;
  }

  return async (storage, inspection) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (parts.isStopped()) throw shuttingDown();
        const problem = parts.problemOf(inspection.graph);
        if (problem !== undefined) throw unreadable(inspection, problem);
        return (await ask(storage, inspection)) as never;
      } catch (error) {
        if (!(error instanceof ProcessLostError)) throw error;
        if (parts.isStopped()) throw shuttingDown();
        if (attempt < 2) continue;
        throw unreadable(inspection, error.message, error.wasSlow ? "GRAPH_TIMEOUT" : "GRAPH_UNAVAILABLE");
      }
    }
  };
}
