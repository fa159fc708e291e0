import type { Journal } from "../checkpoints/journal.ts";
import { type CheckpointRecord, FencedError, type JournalPort } from "../checkpoints/journal-port.ts";
import { DomainError } from "../domain/errors.ts";
import type { Lanes } from "../domain/ports.ts";
import type { CheckpointName } from "../domain/run/run.ts";
import type { Thread } from "../domain/thread.ts";
import type { StateEdit } from "../domain/update-state.ts";
import type { InspectThread } from "./inspect-thread.ts";

export interface EditStateParts {
  readonly inspect: InspectThread;
  readonly journal: Journal;
  readonly lanes: Pick<Lanes, "read">;
}

/**
 * Has a child make the edit's checkpoint, and writes it with the hold's name as the token. What counts is what the
 * journal has: an edit that has landed is done, even if its process ended before it could say so.
 */
export function createEditState({ inspect, journal, lanes }: EditStateParts) {
  return async (thread: Thread, hold: string, edit: StateEdit): Promise<CheckpointName> => {
    const writer = await journal.writer({
      journal: thread.journal,
      threadId: thread.threadId,
      owner: thread.owner,
      token: hold,
      stillMine: async () => (await lanes.read(thread))?.control.lane.holder?.id === hold,
    });
    let sent: CheckpointRecord | undefined;
    let writing: Promise<void> | undefined;
    const port: JournalPort = {
      read: writer.read,
      list: writer.list,
      async append(flush) {
        // When a process is lost its question is asked again, and a second time the edit must not be written.
        if (writing) throw new FencedError("An edit is written once");
        sent = flush.checkpoints.at(-1);
        writing = writer.append(flush);
        await writing;
      },
    };
    let failure: unknown;
    try {
      await inspect(thread, port, { kind: "update", ...edit });
    } catch (error) {
      failure = error;
    }
    const { clean } = await writer.close();
    let landed = await settled(writing);
    if (!clean) {
      await journal.fence(thread.journal, hold, thread);
      landed = sent !== undefined && (await isThere(thread, sent));
    }
    if (landed && sent) return nameOf(sent);
    throw failure instanceof FencedError ? tooLate(edit, failure) : failure;
  };

  async function isThere(thread: Thread, { checkpointId, namespace }: CheckpointRecord): Promise<boolean> {
    return (await journal.checkpoint(thread.journal, { checkpointId, checkpointNs: namespace })) !== undefined;
  }
}

async function settled(writing: Promise<void> | undefined): Promise<boolean> {
  const done = await writing?.then(
    () => true,
    () => false,
  );
  return done ?? false;
}

/** As LangGraph names it: a subgraph's checkpoint with those that it was made under. */
function nameOf({ checkpointId, namespace, metadataFields }: CheckpointRecord): CheckpointName {
  const parents = (metadataFields.parents ?? {}) as Record<string, string>;
  const isInside = namespace !== "" && Object.keys(parents).length > 0;
  return {
    checkpointId,
    checkpointNs: namespace,
    ...(isInside && { checkpointMap: { ...parents, [namespace]: checkpointId } }),
  };
}

const tooLate = ({ graph }: StateEdit, cause: unknown): DomainError =>
  new DomainError(
    "GRAPH_TIMEOUT",
    `The state cannot be edited with the graph "${graph}": it took longer than the thread could be held for it`,
    { metadata: { graph }, cause },
  );
