import { FencedError, type JournalPort } from "../../checkpoints/journal-port.ts";
import type { ChildMessage, ErrorReport, ParentMessage } from "../protocol.ts";

type Reply = Extract<ParentMessage, { type: "reply" }>;

/** The way to the parent process: messages, and journal requests with their answers. */
export class ParentChannel {
  readonly #post: (message: ChildMessage) => void;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #requests = 0;

  constructor(post: (message: ChildMessage) => void) {
    this.#post = post;
  }

  send(message: ChildMessage): void {
    this.#post(message);
  }

  /** The journal of one thread; the parent knows which by the scope. */
  journal(scope: string): JournalPort {
    const ask = <T>(method: "append" | "read" | "list", argument: unknown): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        const requestId = ++this.#requests;
        this.#waiting.set(requestId, { resolve: resolve as (result: unknown) => void, reject });
        this.send({ type: "request", requestId, scope, method, args: [argument] });
      });
    return {
      append: (flush) => ask("append", flush),
      read: (query) => ask("read", query),
      list: (query) => ask("list", query),
    };
  }

  /** Gives the answer to whoever asked. */
  answer({ requestId, result, error }: Reply): void {
    const asked = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    if (error === undefined) asked?.resolve(result);
    else asked?.reject(revive(error));
  }
}

/** The saver tells a fenced attempt from a failed write by the error's class. */
function revive({ name, message }: ErrorReport): Error {
  return name === "FencedError" ? new FencedError(message) : Object.assign(new Error(message), { name });
}
