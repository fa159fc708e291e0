import type { OutputTuple } from "../protocol.ts";

/** How much output of an attempt may be on its way without being stored. */
const maxUnstoredEvents = 1_000;
const maxUnstoredCharacters = 1_000_000;

/** An attempt's output on its way to the parent: no more than a bounded amount that the parent has not yet stored. */
export class OutputWindow {
  readonly #send: (event: OutputTuple) => void;
  readonly #aborted: AbortSignal;
  /** Sizes of the events that are not stored, oldest first. */
  #unstored: number[] = [];
  #unstoredCharacters = 0;
  #stored = 0;
  #room: { readonly promise: Promise<void>; readonly open: () => void } | undefined;
  #cut = false;

  constructor(send: (event: OutputTuple) => void, aborted: AbortSignal) {
    this.#send = send;
    this.#aborted = aborted;
    aborted.addEventListener("abort", () => this.#openRoom(), { once: true });
  }

  push(event: OutputTuple): void {
    // An aborted run no longer waits for room; so what finds none ends its output, without a hole in what was sent.
    this.#cut ||= this.#aborted.aborted && this.#full;
    if (this.#cut) return;
    this.#send(event);
    this.#unstored.push(event[3].length);
    this.#unstoredCharacters += event[3].length;
  }

  /** The parent has stored the first `count` events. */
  stored(count: number): void {
    for (const size of this.#unstored.splice(0, count - this.#stored)) this.#unstoredCharacters -= size;
    this.#stored = Math.max(this.#stored, count);
    if (!this.#full) this.#openRoom();
  }

  /** Undefined when there is room; otherwise resolves when there is, or when the run is aborted. */
  room(): Promise<void> | undefined {
    if (!this.#full || this.#aborted.aborted) return undefined;
    if (this.#room === undefined) {
      let open = () => {};
      const promise = new Promise<void>((resolve) => (open = resolve));
      this.#room = { promise, open };
    }
    return this.#room.promise;
  }

  get #full(): boolean {
    return this.#unstored.length >= maxUnstoredEvents || this.#unstoredCharacters >= maxUnstoredCharacters;
  }

  #openRoom(): void {
    this.#room?.open();
    this.#room = undefined;
  }
}
