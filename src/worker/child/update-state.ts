import { randomUUID } from "node:crypto";
import type { JournalFlush, JournalPort } from "../../checkpoints/journal-port.ts";
import { type CheckpointModule, createJournalSaver } from "../../checkpoints/journal-saver.ts";
import type { EditPart, Inspection, ItemsPort } from "../protocol.ts";
import { describeError } from "./describe-error.ts";
import { createGraphStore } from "./graph-store.ts";
import type { CompiledGraph } from "./graph-types.ts";

export interface EditedGraph {
  readonly graph: CompiledGraph;
  /** The graph itself, or the subgraph that the namespace names. */
  readonly addressed: CompiledGraph;
  readonly configurable: Readonly<Record<string, unknown>>;
  readonly journal: JournalPort;
  readonly items: ItemsPort;
  readonly checkpoint: CheckpointModule;
}

/** The graph, or the code of its author, does not take the edit. */
export class EditRefused extends Error {
  override readonly name = "EditRefused";
  readonly part: EditPart;

  constructor(part: EditPart, sentence: string) {
    super(sentence);
    this.part = part;
  }
}

/** What LangGraph takes for a node that is none: the input, the end, and a copy of the checkpoint. */
const special = ["__input__", "__end__", "__copy__"];

/**
 * Writes the state's new checkpoint as LangGraph makes it, in one flush after all of the graph's code has been called: an edit
 * that fails half-way leaves nothing.
 */
export async function updateState(
  { checkpointId, values, asNode, metadata }: Extract<Inspection, { kind: "update" }>,
  { graph, addressed, configurable, journal, items, checkpoint }: EditedGraph,
): Promise<void> {
  if (asNode !== undefined) checkNode(addressed, asNode);
  const flushes: JournalFlush[] = [];
  const port: JournalPort = { ...journal, append: async (flush) => void flushes.push(flush) };
  const saver = createJournalSaver(checkpoint, port, { metadata: JSON.parse(metadata) as Record<string, unknown> });
  const put = saver.put.bind(saver);
  // LangGraph hands some of the metadata of the checkpoint before on: the edit is no part of the run that made that one.
  saver.put = (config, made, { run_id: _, ...own }: Parameters<typeof put>[2] & { run_id?: unknown }, versions) =>
    put(config, made, own as Parameters<typeof put>[2], versions);
  graph.checkpointer = saver;
  const store = createGraphStore(checkpoint, items);
  const at = { ...configurable, ...(checkpointId !== undefined && { checkpoint_id: checkpointId }) };
  try {
    await graph.updateState({ configurable: at, store }, values === undefined ? null : JSON.parse(values), asNode);
  } catch (error) {
    throw refusal(error);
  } finally {
    saver.close();
  }
  await journal.append({
    flushId: randomUUID(),
    checkpoints: flushes.flatMap(({ checkpoints }) => checkpoints),
    writes: flushes.flatMap(({ writes }) => writes),
    segments: flushes.flatMap(({ segments }) => segments),
  });
}

function checkNode({ nodes }: CompiledGraph, asNode: string): void {
  if (Object.hasOwn(nodes, asNode) || special.includes(asNode)) return;
  const known = Object.keys(nodes).filter((name) => name !== "__start__");
  throw new EditRefused("as_node", `there is no node "${asNode}"; the nodes are ${known.join(", ")}`);
}

function refusal(error: unknown): EditRefused {
  const { name, message } = describeError(error);
  if (name === "InvalidUpdateError" && message.startsWith("Ambiguous update")) {
    return new EditRefused("as_node", "which node the values count as coming from cannot be told; name it");
  }
  if (name === "InvalidUpdateError" && message.startsWith("Node ")) return new EditRefused("as_node", message);
  return new EditRefused("values", `the graph does not take them (${name}: ${message})`);
}
