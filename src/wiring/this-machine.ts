import { identifyProcess, isAlive } from "../storage/embedded/process-identity.ts";
import { killChildren, machineName } from "../worker/server-presence.ts";

/** The machine that a server runs on, as far as it asks about processes: its own, those of other servers, and their children. */
export interface Machine {
  /** Names its process table. */
  readonly name: string;
  readonly self: { readonly pid: number; readonly started: string };
  /** Whether the very process runs, not a later one that got its id. */
  readonly isAlive: (process: { readonly pid: number; readonly started: string }) => boolean;
  /** Ends what a dead server has left running. Resolves when its children are gone. */
  readonly killChildren: (server: { readonly children: readonly number[] }) => Promise<void>;
}

export const thisMachine = (): Machine => ({
  name: machineName(),
  self: identifyProcess(process.pid) ?? { pid: process.pid, started: "" },
  isAlive,
  killChildren: ({ children }) => killChildren(children, (line) => line.includes("worker/child/main.")),
});
