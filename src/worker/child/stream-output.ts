import type { StreamMode } from "../../domain/transitions.ts";
import type { OutputTuple } from "../protocol.ts";
import { cleanCheckpoint, withoutCaller, withoutInternals } from "./checkpoint-payload.ts";
import type { CallbackEvent, GraphConfig } from "./graph-types.ts";
import { toJsonText } from "./json-text.ts";
import { MessageEvents } from "./message-events.ts";
import { toldText } from "./told-size.ts";

/** LangGraph's stream modes that a run's modes are made from. */
export function libraryModes(modes: readonly StreamMode[]): string[] {
  // Checkpoints are noted with the events that come after them, so that a reader can begin there.
  const wanted = new Set<string>(["checkpoints"]);
  for (const mode of modes) {
    if (mode === "messages-tuple") wanted.add("messages");
    // No mode of the library's: told by another way of executing the graph.
    else if (mode !== "events") wanted.add(mode);
    if (mode === "messages") wanted.add("values");
  }
  return [...wanted];
}

/** Turns the chunks of a graph's stream into a run's output. */
export class StreamOutput {
  readonly #modes: ReadonlySet<StreamMode>;
  readonly #messages: MessageEvents | undefined;

  /** Checkpoints that the stream has told of, and after which no event has come yet. */
  #passed: string[] = [];

  constructor(modes: readonly StreamMode[]) {
    this.#modes = new Set(modes);
    this.#messages = this.#modes.has("messages") ? new MessageEvents() : undefined;
  }

  /** The output of each chunk of a graph's stream. */
  async *chunks(stream: AsyncIterable<unknown>): AsyncGenerator<OutputTuple[]> {
    for await (const chunk of stream) yield this.events(chunk);
  }

  /** The same out of a graph's callback events, with the events themselves. */
  async *callbackEvents(stream: AsyncIterable<CallbackEvent>, runId: string): AsyncGenerator<OutputTuple[]> {
    for await (const event of stream) {
      const isChunk = event.event === "on_chain_stream" && event.run_id === runId;
      const isHidden = event.tags?.includes("langsmith:hidden") ?? false;
      const isUnasked = isChunk && partsOf(event.data.chunk)[1] === "checkpoints" && !this.#modes.has("checkpoints");
      const told = isHidden || isUnasked ? [] : this.#plain("events", [], shown(event));
      yield [...(isChunk ? this.events(event.data.chunk) : []), ...this.#marked(told)];
    }
  }

  /** `chunk` as LangGraph yields it for a list of modes: [mode, data], or [namespace, mode, data] with subgraphs. */
  events(chunk: unknown): OutputTuple[] {
    const [namespace, mode, data] = partsOf(chunk);
    const events = this.#marked(this.#told(namespace, mode, data));
    if (mode === "checkpoints" && namespace.length === 0) this.#passed.push(...checkpointIn(data));
    return events;
  }

  #marked([first, ...others]: OutputTuple[]): OutputTuple[] {
    if (first === undefined) return [];
    if (this.#passed.length === 0) return [first, ...others];
    const [mode, name, namespace, json] = first;
    const after = this.#passed;
    this.#passed = [];
    return [[mode, name, namespace, json, after], ...others];
  }

  #told(namespace: readonly string[], mode: string, data: unknown): OutputTuple[] {
    switch (mode) {
      case "messages":
        return this.#message(namespace, data as [object, Record<string, unknown>]);
      case "values": {
        const complete = this.#messages?.values(namespace, data) ?? [];
        return [...this.#plain("values", namespace, data), ...complete];
      }
      case "checkpoints":
        if (!this.#modes.has("checkpoints")) return [];
        return this.#plain("checkpoints", namespace, cleanCheckpoint(data));
      case "debug": {
        const { type, payload } = data as { type: string; payload: unknown };
        const clean = type === "checkpoint" ? cleanCheckpoint(payload) : payload;
        return this.#plain("debug", namespace, { ...(data as object), payload: clean });
      }
      case "updates":
      case "custom":
      case "tasks":
      case "tools":
        return this.#plain(mode, namespace, data);
      default:
        return [];
    }
  }

  #plain(mode: StreamMode, namespace: readonly string[], data: unknown): OutputTuple[] {
    return this.#modes.has(mode) ? [[mode, mode, namespace, toldText(data)]] : [];
  }

  #message(namespace: readonly string[], [message, metadata]: [object, Record<string, unknown>]): OutputTuple[] {
    const shown = withoutInternals(metadata);
    const events: OutputTuple[] = [];
    if (this.#modes.has("messages-tuple")) {
      events.push(["messages-tuple", "messages", namespace, toJsonText([message, shown])]);
    }
    if (this.#messages !== undefined) events.push(...this.#messages.chunk(namespace, message, shown));
    return events;
  }
}

function shown(event: CallbackEvent): CallbackEvent {
  if (event.event !== "on_chain_stream") return event;
  return { ...event, data: { ...event.data, chunk: withoutCaller(event.data.chunk) } };
}

function partsOf(chunk: unknown): readonly [namespace: readonly string[], mode: string, data: unknown] {
  const parts = chunk as [string, unknown] | [readonly string[], string, unknown];
  return parts.length === 3 ? parts : [[], ...parts];
}

function checkpointIn(data: unknown): string[] {
  const { config } = data as { readonly config?: GraphConfig };
  const id = config?.configurable?.checkpoint_id;
  return typeof id === "string" ? [id] : [];
}
