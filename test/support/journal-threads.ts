import { randomUUID } from "node:crypto";
import * as checkpointModule from "@langchain/langgraph-checkpoint";
import type { Journal, JournalWriter } from "../../src/checkpoints/journal.ts";
import type { JournalFlush } from "../../src/checkpoints/journal-port.ts";
import { createJournalSaver, type JournalSaver } from "../../src/checkpoints/journal-saver.ts";
import type { JournalPosition } from "../../src/checkpoints/kept-journals.ts";

export interface RunOnThread {
  readonly runId: string;
  readonly token: string;
  readonly writer: JournalWriter;
  readonly saver: JournalSaver;
}

/** Opens a journal for a new run, as an attempt does. */
export async function startRun(
  journal: Journal,
  name: string,
  options: {
    readonly signal?: AbortSignal;
    readonly onFailed?: () => void;
    readonly stillMine?: () => Promise<boolean>;
    readonly position?: JournalPosition;
  } = {},
): Promise<RunOnThread> {
  const runId = randomUUID();
  const token = randomUUID();
  const { stillMine = async () => true, position, signal, onFailed } = options;
  const mine = { token, stillMine, position };
  const writer = await journal.writer({ journal: name, threadId: "thread", owner: "", runId, ...mine });
  const saver = createJournalSaver(checkpointModule, writer, { runId, metadata: { graph_id: "g" }, signal, onFailed });
  return { runId, token, writer, saver };
}

/** Reads only: nothing is bound to a run. */
export const readingSaver = (journal: Journal, name: string): JournalSaver =>
  createJournalSaver(checkpointModule, journal.reader(name));

/** A flush of one checkpoint without values. */
export function smallFlush(checkpointId: string = randomUUID(), namespace = ""): JournalFlush {
  const nothing = { type: "json", bytes: Buffer.from("{}") };
  const record = { namespace, checkpointId, checkpoint: nothing, metadata: nothing, metadataFields: {}, values: {} };
  return { flushId: randomUUID(), checkpoints: [record], writes: [], segments: [] };
}
