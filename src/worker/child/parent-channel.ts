import { FencedError, type JournalPort } from "../../checkpoints/journal-port.ts";
import type { ChildMessage, ChildRequest, ErrorReport, ItemsPort, OutputTuple, ParentMessage } from "../protocol.ts";

type Method = ChildRequest["method"];
type Reply = Extract<ParentMessage, { type: "reply" }>;

/** The way to the parent process: messages, and requests with their answers. */
export class ParentChannel {
  readonly #post: (message: ChildMessage) => void;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #requests = 0;
  /** Output that goes with the next message, at the latest in the next turn of the event loop. */
  #output = new Map<string, OutputTuple[]>();
  #scheduled: NodeJS.Immediate | undefined;

  constructor(post: (message: ChildMessage) => void) {
    this.#post = post;
  }

  /** Messages arrive in the order in which they were sent, output included. */
  send(message: ChildMessage): void {
    this.#flush();
    this.#post(message);
  }

  /** One message takes what all attempts put out in a turn of the event loop. */
  output(attemptId: string, event: OutputTuple): void {
    const events = this.#output.get(attemptId);
    if (events) events.push(event);
    else this.#output.set(attemptId, [event]);
    this.#scheduled ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#output.size === 0) return;
    const of = Array.from(this.#output, ([attemptId, events]) => ({ attemptId, events }));
    this.#output = new Map();
    this.#post({ type: "output", of });
  }

  /** The journal of one thread; the parent knows which by the scope. */
  journal(scope: string): JournalPort {
    return {
      append: (flush) => this.#ask(scope, "append", flush),
      read: (query) => this.#ask(scope, "read", query),
      list: (query) => this.#ask(scope, "list", query),
    };
  }

  /** The long-term memory; the parent knows whose by the scope. */
  items(scope: string): ItemsPort {
    return { batch: (operations) => this.#ask(scope, "items", operations) };
  }

  #ask<T>(scope: string, method: Method, argument: unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const requestId = ++this.#requests;
      this.#waiting.set(requestId, { resolve: resolve as (result: unknown) => void, reject });
      this.send({ type: "request", requestId, scope, method, args: [argument] } as ChildRequest);
    });
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
