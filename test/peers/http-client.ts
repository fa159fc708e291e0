import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";

/** Plain HTTP/1.1 over kept connections, and events as they come: what any client of these servers is made of. */
export interface HttpClient {
  /** The whole answer. Rejects when it is not there after the limit, with the status as far as there is one. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  /** Resolves with the headers; the events come to `onEvent` until `ended`. */
  stream(method: string, path: string, body: unknown, onEvent: (event: ServerEvent) => void): Promise<EventStream>;
  close(): void;
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
  /** Sends the body as it is. */
  readonly isRaw?: boolean;
  /** For who wants to leave before the answer. */
  readonly onRequest?: (leave: () => void) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The answer was cut off at the limit. */
  readonly isCut: boolean;
}

export interface ServerEvent {
  readonly name: string;
  readonly id: string | undefined;
  /** As sent, the lines joined. */
  readonly data: string;
  /** When it came, in milliseconds since 1970. */
  readonly at: number;
}

export interface EventStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly ended: Promise<void>;
  /** Drops the connection. */
  leave(): void;
}

export function createHttpClient(baseUrl: string): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const { hostname, port } = new URL(baseUrl);

  function send(method: string, path: string, body: unknown, { headers = {}, isRaw = false }: CallOptions = {}) {
    const text = body === undefined ? undefined : isRaw ? String(body) : JSON.stringify(body);
    const outgoing = request({
      agent,
      hostname,
      port,
      method,
      path,
      headers: {
        ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...headers,
      },
    });
    const incoming = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve);
      outgoing.once("error", reject);
    });
    outgoing.end(text);
    return { outgoing, incoming };
  }

  return {
    async call(method, path, body, options = {}) {
      const limit = options.limitMs ?? 60_000;
      const begun = send(method, path, body, options);
      let { outgoing } = begun;
      let isCut = false;
      const timer = setTimeout(() => {
        isCut = true;
        outgoing.destroy(new Error(`no answer to ${method} ${path} in ${limit} ms`));
      }, limit);
      options.onRequest?.(() => outgoing.destroy());
      try {
        const message = await begun.incoming.catch((error: NodeJS.ErrnoException) => {
          // The server had closed the kept connection, and has not seen the request.
          if (isCut || !outgoing.reusedSocket || error.code !== "ECONNRESET") throw error;
          const again = send(method, path, body, options);
          outgoing = again.outgoing;
          return again.incoming;
        });
        message.setEncoding("utf8");
        let text = "";
        try {
          for await (const chunk of message) text += chunk;
        } catch (error) {
          if (!isCut) throw error;
        }
        return { status: message.statusCode!, headers: message.headers, text, isCut };
      } finally {
        clearTimeout(timer);
      }
    },
    async stream(method, path, body, onEvent) {
      const { outgoing, incoming } = send(method, path, body);
      const message = await incoming;
      message.setEncoding("utf8");
      const read = createEventReader(onEvent);
      const ended = new Promise<void>((resolve) => {
        message.on("data", read);
        message.once("close", resolve);
      });
      // Left on purpose, or cut off by the server: `ended` says so either way.
      outgoing.on("error", () => {});
      message.on("error", () => {});
      return { status: message.statusCode!, headers: message.headers, ended, leave: () => outgoing.destroy() };
    },
    close: () => agent.destroy(),
  };
}

/** Takes chunks of `text/event-stream` and gives its events, without comments. */
export function createEventReader(onEvent: (event: ServerEvent) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const at = Date.now();
    const blocks = (rest + chunk).split(/\r?\n\r?\n/);
    rest = blocks.pop()!;
    for (const block of blocks) {
      let [name, id, data] = ["message", undefined as string | undefined, ""];
      let isEvent = false;
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith(":")) continue;
        isEvent = true;
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("id:")) id = line.slice(3).trim();
        else if (line.startsWith("data:")) data += (data && "\n") + line.slice(5).replace(/^ /, "");
      }
      if (isEvent && block !== "") onEvent({ name, id, data, at });
    }
  };
}
