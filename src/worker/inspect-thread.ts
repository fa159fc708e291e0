import type { JournalPort } from "../checkpoints/journal-port.ts";
import type { Thread } from "../domain/thread.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { LastOpening } from "./last-opening.ts";
import type { Inspection, ItemsPort, StateReport } from "./protocol.ts";

export interface InspectThreadParts {
  readonly host: Pick<AttemptHost, "inspect">;
  readonly lastOpening: LastOpening;
  /** Long-term memory to read. */
  readonly readItems: (owner: string) => ItemsPort;
}

type ThreadInspection = Extract<Inspection, { kind: "state" | "history" | "update" }>;

export type InspectThread = (
  thread: Thread,
  port: JournalPort,
  inspection: ThreadInspection,
) => Promise<readonly StateReport[]>;

/** Reads or edits a thread with its graph; one that a factory makes is made as for the thread's last run. */
export function createInspectThread({ host, lastOpening, readItems }: InspectThreadParts): InspectThread {
  return async (thread, port, inspection) => {
    const opened = await lastOpening(thread, inspection.graph);
    // An edit calls functions of the graph, which may want to remember.
    const { owner } = thread;
    const storage = { ...port, owner, ...(inspection.kind === "update" && { items: readItems(owner) }) };
    return host.inspect(storage, { ...inspection, opened });
  };
}
