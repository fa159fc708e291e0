import type { JournalPort } from "../checkpoints/journal-port.ts";
import type { RunStore } from "../domain/stores.ts";
import type { Thread } from "../domain/thread.ts";
import { openedBy } from "./assistant-config.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { GraphReport, Inspection, ItemsPort, StateReport } from "./protocol.ts";

export interface InspectThreadParts {
  readonly host: Pick<AttemptHost, "inspect">;
  readonly runs: Pick<RunStore, "lastStarted">;
  readonly reports: readonly GraphReport[];
  /** Long-term memory to read. */
  readonly readItems: (owner: string) => ItemsPort;
}

export type ThreadInspection = Extract<Inspection, { kind: "state" | "history" | "update" }>;

export type InspectThread = (
  thread: Thread,
  port: JournalPort,
  inspection: ThreadInspection,
) => Promise<readonly StateReport[]>;

/** Reads or edits a thread with its graph; one that a factory makes is made as for the thread's last run. */
export function createInspectThread({ host, runs, reports, readItems }: InspectThreadParts): InspectThread {
  const factories = new Set(reports.filter(({ nodes }) => nodes === undefined).map(({ name }) => name));
  return async (thread, port, inspection) => {
    const last = factories.has(inspection.graph) ? await runs.lastStarted(thread) : undefined;
    const opened = last?.graph === inspection.graph && { opened: openedBy(last) };
    // An edit calls functions of the graph, which may want to remember.
    const storage = inspection.kind === "update" ? { ...port, items: readItems(thread.owner) } : port;
    return host.inspect(storage, { ...inspection, ...opened });
  };
}
