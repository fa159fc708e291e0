import type { OutputEvent, PackedEvent } from "../domain/run/run-events.ts";

/** A shorter text is stored whole, and no other is made from it. */
export const leastCharacters = 1024;
const mostTexts = 16;
const mostCharacters = 4 * 1024 * 1024;

export interface RecentText {
  readonly sequence: number;
  readonly namespace: string;
  readonly text: string;
}

/**
 * The latest texts of a run's events, one of each kind of event and order of size. Which ones these are depends on the events since the oldest of
 * them alone: whoever begins to read there knows those that the writer knew.
 */
export class RecentTexts<T extends RecentText> {
  readonly #texts = new Map<string, T>();
  #characters = 0;

  put({ mode, name }: OutputEvent | PackedEvent, one: T): void {
    const size = Math.floor(Math.log2(one.text.length) / 2);
    const key = JSON.stringify([one.namespace, mode, name, size]);
    this.#remove(key);
    this.#texts.set(key, one);
    this.#characters += one.text.length;
    while (this.#texts.size > 1 && (this.#texts.size > mostTexts || this.#characters > mostCharacters)) {
      this.#remove(this.#texts.keys().next().value!);
    }
  }

  /** The latest first. */
  all(): T[] {
    return [...this.#texts.values()].reverse();
  }

  at(sequence: number): T | undefined {
    return this.all().find((one) => one.sequence === sequence);
  }

  clear(): void {
    this.#texts.clear();
    this.#characters = 0;
  }

  get characters(): number {
    return this.#characters;
  }

  #remove(key: string): void {
    this.#characters -= this.#texts.get(key)?.text.length ?? 0;
    this.#texts.delete(key);
  }
}

export const namespaceOf = ({ namespace }: OutputEvent | PackedEvent): string => namespace.join("|");
