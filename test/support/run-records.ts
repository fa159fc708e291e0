import { randomUUID } from "node:crypto";
import type { RunStore } from "../../src/domain/ports.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import { newControl } from "../../src/domain/thread/entry.ts";
import type { Projection } from "../../src/domain/thread/project.ts";
import { threadOf } from "../../src/domain/thread/view.ts";
import type { Thread } from "../../src/domain/thread.ts";
import { syntheticRecord } from "./synthetic-load.ts";

/** A record that is not stored yet, of a run and a thread of its own. */
export const newRecord = (change: Partial<Run> = {}): Run =>
  syntheticRecord(0, { runId: randomUUID(), threadId: randomUUID(), made: randomUUID(), ...change });

/** The run's thread, with the journal "journal". */
export const threadOfRun = ({ owner, threadId }: RunName, temporary = false): Thread => ({
  ...threadOf({
    origin: { owner, threadId, journal: "journal", createdAt: 1 },
    control: newControl({ threadId, rev: "rev", metadata: {} }, 1),
  }),
  temporary,
});

/** The run as its record says after it was brought up to that; undefined when that was no news, or the record is gone. */
export const projected = async (
  runs: Pick<RunStore, "project" | "find">,
  name: RunName,
  projection: Projection,
): Promise<Run | undefined> => ((await runs.project(name, projection)) ? runs.find(name) : undefined);
