import type { SimulatedProcess } from "../time/simulated-process.ts";

/** One execution of a run, as it really takes place in a child. */
export interface Execution {
  readonly runId: string;
  readonly threadId: string;
  /** The lease's. */
  readonly token: string;
  readonly attempt: number;
  readonly child: SimulatedProcess;
  readonly server: SimulatedProcess;
}

/** What really executes, whatever the database and the servers say: what the laws are held against. */
export class Executions {
  readonly live = new Set<Execution>();
  /** Every token that has ever executed something. */
  readonly all: Execution[] = [];
  #began: (execution: Execution) => void = () => undefined;

  /** Somebody wants to know of each beginning. */
  onBegan(began: (execution: Execution) => void): void {
    this.#began = began;
  }

  begin(execution: Execution): void {
    this.live.add(execution);
    this.all.push(execution);
    this.#began(execution);
  }

  end(execution: Execution): void {
    this.live.delete(execution);
  }

  /** All that a process executed ends with it. */
  endOf(child: SimulatedProcess): void {
    for (const one of this.live) if (one.child === child) this.live.delete(one);
  }
}
