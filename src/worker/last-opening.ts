import type { RunStore } from "../domain/ports.ts";
import type { Thread } from "../domain/thread.ts";
import { openedBy } from "./assistant-config.ts";
import type { GraphReport, OpenedBy } from "./protocol.ts";

export type LastOpening = (thread: Thread, graph: string) => Promise<OpenedBy | undefined>;

/** How a factory made the graph for the thread's last run, or for that of the thread which it is a copy of. */
export function createLastOpening(
  runs: Pick<RunStore, "lastStarted" | "withGiven">,
  reports: readonly GraphReport[],
): LastOpening {
  const factories = new Set(reports.filter(({ nodes }) => nodes === undefined).map(({ name }) => name));
  return async (thread, graph) => {
    if (!factories.has(graph)) return undefined;
    const last = await runs.lastStarted(thread);
    if (last) return last.graph === graph ? openedBy((await runs.withGiven([last]))[0]!) : undefined;
    if (thread.opened?.graph !== graph) return undefined;
    const { graph: _, ...opened } = thread.opened;
    return opened;
  };
}
