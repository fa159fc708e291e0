import type { ChildWorker } from "./child-worker.ts";
import type { InspectGraphsParts } from "./inspect-graphs.ts";
import type { GraphSpec } from "./protocol.ts";

export interface ChildReadersParts {
  /** Those that live. */
  readonly workersOf: (role: "spare" | "shared" | "apart") => readonly ChildWorker[];
  readonly isSpare: (worker: ChildWorker) => boolean;
  /** Several owners have processes, or wait for one. */
  readonly isDivided: () => boolean;
  /** Undefined when none may start now. */
  readonly start: (role: "spare" | "apart") => ChildWorker | undefined;
  readonly graphsNamed: (graph: string) => readonly GraphSpec[];
}

export interface ChildReaders extends Pick<InspectGraphsParts, "idleChild" | "startApart"> {
  /** Owners use as many as there may be: another one's turn comes when one of them is idle. */
  isFull(): boolean;
}

/** Processes beside the shared and exclusive ones, at most. */
const maxReaders = 10;

/** The processes of a pool that answer what is asked of graphs. */
export function createChildReaders(parts: ChildReadersParts): ChildReaders {
  const { workersOf, isSpare, isDivided } = parts;

  function idleChild(owner: string | undefined): ChildWorker | undefined {
    // What is asked of a graph alone, in nobody's name, is asked of a process that is nobody's.
    const isFit = (worker: ChildWorker) => (owner === undefined ? worker.owner === undefined : worker.mayBeOf(owner));
    const idle = [...workersOf("spare"), ...workersOf("shared")].filter(
      (worker) => worker.load === 0 && !worker.blocked && !worker.yields && isFit(worker),
    );
    const ready = idle.filter(({ isReady }) => isReady);
    // Once there are several owners, one that is nobody's is kept for whoever comes.
    const own = isDivided() ? ready.find((worker) => worker.owner === owner) : undefined;
    const best = own ?? ready.find(isSpare) ?? ready.find(({ inspecting }) => inspecting) ?? ready.at(0);
    return best ?? idle.at(0) ?? startReader("spare");
  }

  function startApart(graph: string): ChildWorker | undefined {
    const worker = startReader("apart");
    worker?.loadGraphs(parts.graphsNamed(graph));
    return worker;
  }

  const all = () => [...workersOf("spare"), ...workersOf("apart")];

  function startReader(role: "spare" | "apart"): ChildWorker | undefined {
    const readers = all();
    if (readers.length >= maxReaders) {
      // One that some other owner has had makes room.
      const unused = readers.find(({ isIdle, owner }) => isIdle && owner !== undefined);
      if (!unused || !isDivided()) return undefined;
      unused.retire();
    }
    return parts.start(role);
  }

  return { idleChild, startApart, isFull: () => isDivided() && all().length >= maxReaders };
}
