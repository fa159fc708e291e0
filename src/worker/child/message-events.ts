import type { OutputTuple } from "../protocol.ts";
import { toJsonText } from "./json-text.ts";

interface Message {
  readonly id?: string;
  /** Only on chunks. */
  concat?(chunk: Message): Message;
}

/**
 * The events of mode `messages`, made of the library's message chunks and values: `messages/metadata` when a message is first
 * seen, `messages/partial` with all of it so far for each chunk, `messages/complete` when it is whole.
 */
export class MessageEvents {
  /** Streamed messages that are not complete, by id. */
  readonly #growing = new Map<string, Message>();
  readonly #seen = new Set<string>();
  readonly #complete = new Set<string>();
  #history = true;

  chunk(namespace: readonly string[], message: Message, metadata: unknown): OutputTuple[] {
    const { id } = message;
    if (id === undefined) return [];
    const events: OutputTuple[] = [];
    if (!this.#seen.has(id)) {
      this.#seen.add(id);
      events.push(event("messages/metadata", namespace, { [id]: { metadata } }));
    }
    if (typeof message.concat !== "function") {
      return this.#complete.has(id) ? events : [...events, this.#completed(namespace, id, message)];
    }
    const soFar = this.#growing.get(id)?.concat?.(message) ?? message;
    this.#growing.set(id, soFar);
    events.push(event("messages/partial", namespace, [soFar]));
    return events;
  }

  /** Messages that the state now holds and that were not yet said to be complete. */
  values(namespace: readonly string[], values: unknown): OutputTuple[] {
    const { messages } = (values ?? {}) as { messages?: unknown };
    if (!Array.isArray(messages)) return [];
    const isRoot = namespace.length === 0;
    // The run's first state is what was there before it, and its input.
    const isNew = (id: string) => isRoot && !this.#history && !this.#complete.has(id);
    const events: OutputTuple[] = [];
    for (const message of messages as Message[]) {
      const id = message?.id;
      if (typeof id !== "string") continue;
      if (this.#growing.has(id) || isNew(id)) events.push(this.#completed(namespace, id, message));
      else if (isRoot) this.#complete.add(id);
    }
    if (isRoot) this.#history = false;
    return events;
  }

  #completed(namespace: readonly string[], id: string, message: Message): OutputTuple {
    this.#growing.delete(id);
    this.#complete.add(id);
    return event("messages/complete", namespace, [message]);
  }
}

function event(name: string, namespace: readonly string[], data: unknown): OutputTuple {
  return ["messages", name, namespace, toJsonText(data)];
}
