import type { RunEvent, RunOutputEvent } from "../../../gen/reins/v1/run_event_pb.ts";
import { Durability, RunStatus, StreamMode } from "../../../gen/reins/v1/run_pb.ts";
import { payloadJson } from "../json/payload.ts";
import { RawJson, rawFields, stringify } from "../json/raw-json.ts";
import { type MessageChunk, type StreamedMessage, startMessage } from "./streamed-message.ts";
import type { BegunRun } from "./thread-runs.ts";

/** An event of LangChain's streaming protocol, ready to be sent. */
export interface ProtocolEvent {
  readonly channel: string;
  readonly namespace: readonly string[];
  /** Increases over all runs of a thread. */
  readonly seq: number;
  /** As JSON. */
  readonly text: string;
}

/** The modes of the runs that are created through the protocol. */
export const protocolModes = ["values", "updates", "messages-tuple", "custom", "checkpoints"] as const;

/** Numbers begin with the run's time, so that those of a later run are higher and each is the same whenever it is told. */
const epoch = Date.UTC(2025, 0);
const numbersPerMs = 4096;
const firstNumber = (at: number): number => (at - epoch) * numbersPerMs;

/** When the event with this number was told, at the earliest. */
export const timeOfNumber = (seq: number): number => Math.floor(seq / numbersPerMs) + epoch;

/** What LangGraph tells under `__interrupt__`. */
type Interrupts = readonly { readonly id: string; readonly value: unknown }[];
type MessageMetadata = Readonly<Record<string, unknown>> & { readonly langgraph_checkpoint_ns?: string };

/**
 * Tells a run's events in the protocol's terms. It must be given all of them from the first one on: what it makes of one, and
 * the numbers, depend on those before it and on nothing else.
 */
export function createProtocolEvents({ run, at }: BegunRun): (event: RunEvent) => ProtocolEvent[] {
  let count = 0;
  /** A state waits for its checkpoint, which comes right after it, and is told before it. */
  let held: RunOutputEvent | undefined;
  const holds =
    (run.spec?.streamModes.includes(StreamMode.CHECKPOINTS) ?? false) && run.spec?.durability !== Durability.EXIT;
  const asked = new Set<string>();
  let paused = false;
  /** By namespace, each the graph of a node; in the order in which they were seen. */
  const subgraphs = new Map<string, readonly string[]>();
  const messages = new Map<string, { message: StreamedMessage; namespace: readonly string[]; node?: string }>();

  function tell(method: string, namespace: readonly string[], data: unknown, node?: string): ProtocolEvent {
    count += 1;
    const seq = firstNumber(at) + count;
    const params = { namespace: [...namespace], timestamp: Date.now(), node, data };
    const text = stringify({ type: "event", event_id: `${run.runId}-${count}`, seq, method, params });
    return { channel: method === "input.requested" ? "input" : method, namespace, seq, text };
  }

  const started = (namespace: readonly string[]): ProtocolEvent[] =>
    namespace.flatMap((segment, depth) => {
      const path = namespace.slice(0, depth + 1);
      const key = path.join("|");
      if (subgraphs.has(key)) return [];
      subgraphs.set(key, path);
      return [tell("lifecycle", path, { event: "started", graph_name: nameOf(segment) })];
    });

  /** The subgraphs below a namespace of which it is known that they have come to an end. */
  function ended(how: string, isOver: (namespace: readonly string[]) => boolean): ProtocolEvent[] {
    return [...subgraphs].reverse().flatMap(([key, namespace]) => {
      if (!isOver(namespace)) return [];
      subgraphs.delete(key);
      return [tell("lifecycle", namespace, { event: how, graph_name: nameOf(namespace.at(-1)!) })];
    });
  }

  function finishMessages(isOver: (namespace: readonly string[], node?: string) => boolean): ProtocolEvent[] {
    return [...messages].flatMap(([key, { message, namespace, node }]) => {
      if (!isOver(namespace, node)) return [];
      messages.delete(key);
      return message.finish().map((data) => tell("messages", namespace, data, node));
    });
  }

  function message([chunk, metadata]: [MessageChunk, MessageMetadata]): ProtocolEvent[] {
    // The others come with the state.
    if (chunk.type !== "ai" || chunk.id === undefined) return [];
    const namespace = (metadata.langgraph_checkpoint_ns ?? "").split("|").filter((segment) => segment !== "");
    const node = typeof metadata.langgraph_node === "string" ? metadata.langgraph_node : undefined;
    const key = namespace.join("|");
    const told: ProtocolEvent[] = [];
    let current = messages.get(key);
    if (current && current.message.id !== chunk.id) {
      told.push(...finishMessages((other) => other === current!.namespace));
      current = undefined;
    }
    if (!current) {
      const { ls_provider: provider, ls_model_name: model } = metadata;
      const begun = startMessage(chunk.id, { provider, model, run_id: run.runId, thread_id: run.threadId });
      current = { message: begun.message, namespace, node };
      messages.set(key, current);
      told.push(...begun.events.map((data) => tell("messages", namespace, data, node)));
    }
    told.push(...current.message.add(chunk).map((data) => tell("messages", namespace, data, node)));
    return told;
  }

  function requests(namespace: readonly string[], { text }: RawJson): ProtocolEvent[] {
    paused = true;
    return (JSON.parse(text) as Interrupts).flatMap(({ id, value }) => {
      if (asked.has(id)) return [];
      asked.add(id);
      return [tell("input.requested", namespace, { interrupt_id: id, payload: value })];
    });
  }

  function values({ namespace, data }: RunOutputEvent): ProtocolEvent[] {
    const text = payloadJson(data)!;
    if (!text.includes('"__interrupt__"')) return [tell("values", namespace, new RawJson(text))];
    const { __interrupt__, ...state } = Object.fromEntries(rawFields(text));
    const asking = __interrupt__ ? requests(namespace, __interrupt__) : [];
    return Object.keys(state).length === 0 ? asking : [...asking, tell("values", namespace, state)];
  }

  function updates({ namespace, data }: RunOutputEvent): ProtocolEvent[] {
    const byNode = Object.fromEntries(rawFields(payloadJson(data)!));
    if (byNode.__interrupt__) return requests(namespace, byNode.__interrupt__);
    const isOver = (path: readonly string[]) => isChild(path, namespace) && nameOf(path.at(-1)!) in byNode;
    return [
      ...finishMessages(isOver),
      ...ended("completed", (path) => path.length > namespace.length && isOver(path.slice(0, namespace.length + 1))),
      ...Object.entries(byNode).map(([node, update]) => tell("updates", namespace, { node, values: update }, node)),
    ];
  }

  function checkpoint({ namespace, data }: RunOutputEvent): ProtocolEvent[] {
    // The state stands beside them.
    const fields = rawFields(payloadJson(data)!).filter(([name]) => name !== "values");
    const read = fields.map(([name, { text }]) => [name, JSON.parse(text) as unknown]);
    const { config, parent_config: parent, metadata } = Object.fromEntries(read) as CheckpointOutput;
    const id = config?.configurable?.checkpoint_id;
    if (id === undefined) return [];
    const { step, source } = metadata ?? {};
    return [tell("checkpoints", namespace, { id, parent_id: parent?.configurable?.checkpoint_id, step, source })];
  }

  function output(event: RunOutputEvent): ProtocolEvent[] {
    switch (event.mode) {
      case StreamMode.VALUES:
        return [...finishMessages((path) => isChild(path, event.namespace)), ...values(event)];
      case StreamMode.UPDATES:
        return updates(event);
      case StreamMode.CHECKPOINTS:
        return checkpoint(event);
      case StreamMode.CUSTOM:
        return [tell("custom", event.namespace, { payload: new RawJson(payloadJson(event.data)!) })];
      case StreamMode.TASKS:
        return [tell("tasks", event.namespace, new RawJson(payloadJson(event.data)!))];
      case StreamMode.MESSAGES_TUPLE:
        return message(JSON.parse(payloadJson(event.data)!) as [MessageChunk, MessageMetadata]);
      default:
        return [];
    }
  }

  function told(event: RunOutputEvent): ProtocolEvent[] {
    // A model's node has a namespace of its own, which is no subgraph's.
    const begun = event.mode === StreamMode.MESSAGES_TUPLE ? [] : started(event.namespace);
    return [...begun, ...output(event)];
  }

  function end(status: RunStatus, error: string | undefined): ProtocolEvent[] {
    const how = status === RunStatus.SUCCESS && paused ? "interrupted" : endings[status]!;
    return [
      ...finishMessages(() => true),
      ...ended(how, () => true),
      tell("lifecycle", [], { event: how, graph_name: run.graphId, error }),
    ];
  }

  function release(): ProtocolEvent[] {
    const waiting = held;
    held = undefined;
    return waiting ? told(waiting) : [];
  }

  return ({ event }) => {
    if (event.case === "output") {
      const { value } = event;
      const isItsCheckpoint = value.mode === StreamMode.CHECKPOINTS && isSame(value.namespace, held?.namespace);
      if (isItsCheckpoint) return [...told(value), ...release()];
      const before = release();
      if (!holds || value.mode !== StreamMode.VALUES || isAsking(value)) return [...before, ...told(value)];
      held = value;
      return before;
    }
    const before = release();
    if (event.case === "created") return [tell("lifecycle", [], { event: "running", graph_name: run.graphId })];
    if (event.case !== "ended") return before;
    return [...before, ...end(event.value.status, event.value.error?.message)];
  };
}

interface CheckpointOutput {
  readonly config?: { readonly configurable?: { readonly checkpoint_id?: string } };
  readonly parent_config?: CheckpointOutput["config"] | null;
  readonly metadata?: { readonly step?: number; readonly source?: string };
}

const endings: Partial<Record<RunStatus, string>> = {
  [RunStatus.SUCCESS]: "completed",
  [RunStatus.ERROR]: "failed",
  [RunStatus.TIMEOUT]: "failed",
  [RunStatus.INTERRUPTED]: "interrupted",
};

/** What is asked of a human comes without a checkpoint. */
const isAsking = ({ data }: RunOutputEvent): boolean => payloadJson(data)!.includes('"__interrupt__"');

/** The node's or graph's name in a segment like `critic:1d5f…`. */
const nameOf = (segment: string): string => segment.split(":", 1)[0]!;

const isSame = (a: readonly string[], b: readonly string[] | undefined): boolean => a.join("|") === b?.join("|");

const isChild = (path: readonly string[], parent: readonly string[]): boolean =>
  path.length === parent.length + 1 && parent.every((segment, place) => path[place] === segment);
