import type { ResolveAssistant } from "./assistants.ts";
import { boundedState } from "./bounded.ts";
import { checkMetadata, invalid, maxStoredBytes, tooLarge } from "./check-metadata.ts";
import type { HoldThread } from "./hold-thread.ts";
import { threadNotFound } from "./not-found.ts";
import type { ThreadStore } from "./ports.ts";
import {
  type FindCheckpoint,
  type GraphOf,
  namedCheckpoint,
  requireCheckpoint,
  requireGraph,
} from "./run/checkpoints.ts";
import type { CheckpointName, Json } from "./run/run.ts";
import type { StateAtEnd } from "./thread/pay-debts.ts";
import { graphOfThread, type Thread, type ThreadName } from "./thread.ts";

interface StateUpdate extends ThreadName {
  /** What the node would have returned. */
  readonly values?: Json;
  readonly asNode?: string;
  readonly checkpoint?: CheckpointName;
  readonly assistantId?: string;
  /** Put on the new checkpoint. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Who edits; '' where nobody is known. Stands in the checkpoint's metadata. */
  readonly actor?: string;
}

/** An edit that has been checked, as far as that is possible without the graph's code. */
export interface StateEdit {
  readonly graph: string;
  readonly checkpointId?: string;
  readonly checkpointNs: string;
  readonly values?: Json;
  readonly asNode?: string;
  readonly metadata: Json;
}

export interface UpdateStateParts {
  readonly threads: Pick<ThreadStore, "find">;
  readonly holdThread: HoldThread;
  readonly findCheckpoint: FindCheckpoint;
  readonly graphOf: GraphOf;
  readonly resolveAssistant: ResolveAssistant;
  /**
   * Writes the edit with the graph's own code, all of it or nothing; `hold` is the token of its writes. Throws INVALID_FIELD when
   * the graph refuses it. Nothing is written after it has returned or thrown.
   */
  readonly edit: (thread: Thread, hold: string, edit: StateEdit) => Promise<CheckpointName>;
  readonly readState: (thread: Thread, graph: string) => Promise<StateAtEnd>;
}

export type UpdateState = (request: StateUpdate) => Promise<CheckpointName>;

/**
 * Edits a thread's state as if a node had returned the values. It holds the thread meanwhile, so that no run starts on what is
 * about to change; when the server dies with it, whoever takes the hold over fences it.
 */
export function createUpdateState(parts: UpdateStateParts): UpdateState {
  const { threads } = parts;

  function checkRequest({ values, asNode, metadata }: StateUpdate): void {
    if ((values === undefined || values.trim() === "null") && asNode === undefined) {
      throw invalid("values", "must be set, unless as_node names the node that is taken for done without them");
    }
    const bytes = Buffer.byteLength(values ?? "");
    if (bytes > maxStoredBytes) throw tooLarge("values", `they have ${bytes} bytes of JSON`);
    checkMetadata(metadata, "metadata");
  }

  /** Undefined where nothing says whose state it is. */
  async function findGraph(thread: Thread, assistantId: string | undefined): Promise<string | undefined> {
    const asked =
      assistantId === undefined ? undefined : (await parts.resolveAssistant(assistantId, thread.owner)).graph;
    const graph = (await parts.graphOf(thread)) ?? asked ?? (await graphNamed(thread));
    if (asked !== undefined && asked !== graph) {
      throw invalid(
        "assistant_id",
        `the state of thread ${thread.threadId} belongs to the graph "${graph}", not to "${asked}"`,
      );
    }
    return graph;
  }

  /** That of a thread without a state, which its metadata names. */
  async function graphNamed(thread: Thread): Promise<string | undefined> {
    const named = graphOfThread(thread);
    return named === undefined ? undefined : (await parts.resolveAssistant(named, thread.owner)).graph;
  }

  async function findBase(thread: Thread, graph: string, request: StateUpdate) {
    const named = namedCheckpoint(request);
    if (!named) return { checkpointNs: "" };
    const found = await requireCheckpoint(parts.findCheckpoint, thread, named.name, named.field);
    requireGraph(found, graph, named.field);
    // Without an id it is the newest, also for LangGraph: what it then shows of the next tasks counts as well.
    return { checkpointNs: found.checkpointNs, checkpointId: named.name.checkpointId };
  }

  return async (request) => {
    checkRequest(request);
    const there = await threads.find(request);
    if (!there || there.removing) throw threadNotFound(request.threadId);
    const known = await findGraph(there, request.assistantId);
    // Of a thread whose first run has yet to start it is not known either, but that it is busy counts.
    if (known === undefined && there.status !== "busy") throw unknownState(there);
    if (known !== undefined) await findBase(there, known, request);
    return parts.holdThread(request, { kind: "edit" }, async ({ thread, id, leave }) => {
      const graph = known ?? (await findGraph(thread, request.assistantId));
      if (graph === undefined) throw unknownState(thread);
      // Looked for again: the newest checkpoint is sure to stay the same only while the thread is held.
      const base = await findBase(thread, graph, request);
      const metadata = JSON.stringify({
        ...request.metadata,
        ...(request.actor && { actor: request.actor }),
        thread_id: thread.threadId,
        graph_id: graph,
      });
      const { values, asNode } = request;
      const checkpoint = await parts.edit(thread, id, { graph, ...base, values, asNode, metadata });
      const read = await parts.readState(thread, graph);
      leave({ state: boundedState({ ...read, n: 0, graph, assistantId: thread.state?.assistantId }) });
      return checkpoint;
    });
  };
}

const unknownState = ({ threadId }: ThreadName) =>
  invalid(
    "assistant_id",
    `must say whose state it is: no run has started on thread ${threadId} yet, and its metadata names no graph_id`,
  );
