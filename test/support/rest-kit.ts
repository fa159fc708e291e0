import { createGates, until } from "./gates.ts";

/** An answer of the REST edge, read to its end. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined for an empty one. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of all shapes, and fail where one is not as expected
  readonly body: any;
}

/** A server-sent event. */
export interface SentEvent {
  readonly event: string;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: see RestAnswer
  readonly data: any;
}

/** Plain HTTP to the REST edge, as any client would send it. */
export function createRestClient(url: string) {
  async function send(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(`${url}${path}`, {
      method,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...init,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...init.headers },
    });
  }
  const read = async (response: Response): Promise<RestAnswer> => {
    const text = await response.text();
    const { status, headers } = response;
    const isJson = headers.get("content-type")?.startsWith("application/json") && text !== "";
    return { status, headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
  const call =
    (method: string) =>
    async (path: string, body?: unknown, init?: RequestInit): Promise<RestAnswer> =>
      read(await send(method, path, body, init));
  return {
    url,
    send,
    get: (path: string, init?: RequestInit) => call("GET")(path, undefined, init),
    post: call("POST"),
    put: call("PUT"),
    patch: call("PATCH"),
    delete: call("DELETE"),
    /** Opens a stream; `body` makes it a POST. */
    async stream(path: string, body?: unknown, init: RequestInit = {}) {
      const leaving = new AbortController();
      const response = await send(body === undefined ? "GET" : "POST", path, body, { ...init, signal: leaving.signal });
      return { response, events: readEvents(response), leave: () => leaving.abort() };
    },
  };
}

export type RestClient = ReturnType<typeof createRestClient>;

/** Reads events strictly as the edge frames them: a line that is no part of one is a failure. */
export async function* readEvents(response: Response): AsyncGenerator<SentEvent> {
  let rest = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split("\r\n\r\n");
    rest = blocks.pop()!;
    for (const block of blocks) if (block !== ": heartbeat") yield parse(block);
  }
  if (rest !== "") throw new Error(`the stream ended in the middle of an event: ${JSON.stringify(rest)}`);
}

function parse(block: string): SentEvent {
  const fields = new Map<string, string>();
  for (const line of block.split("\r\n")) {
    const [, name, value] = /^(event|data|id): (.*)$/s.exec(line) ?? [];
    if (name === undefined || fields.has(name) || value!.includes("\n")) {
      throw new Error(`no event of the edge: ${JSON.stringify(block)}`);
    }
    fields.set(name, value!);
  }
  return { event: fields.get("event")!, id: fields.get("id"), data: JSON.parse(fields.get("data")!) };
}

/** A thread, and short ways to work with runs of the test agents on it over REST. */
export async function createRestKit(url: string, graph = "gated") {
  const rest = createRestClient(url);
  const gates = createGates();
  const threadId: string = (await rest.post("/threads", {})).body.thread_id;
  const thread = `/threads/${threadId}`;
  const body = (input: object | null, more: object = {}) => ({
    assistant_id: graph,
    input: input === null ? null : { dir: gates.dir, ...input },
    ...more,
  });
  const get = async (runId: string) => (await rest.get(`${thread}/runs/${runId}`)).body;
  return {
    rest,
    gates,
    threadId,
    thread,
    body,
    get,
    async start(input: object | null = {}, more: object = {}): Promise<string> {
      const answer = await rest.post(`${thread}/runs`, body(input, more));
      if (answer.status !== 200) throw new Error(answer.text);
      return answer.body.run_id;
    },
    /** Lets the run, and whatever else waits, come to its end; then the gates can go. */
    async finish(runId: string, of = threadId): Promise<void> {
      gates.open();
      await rest.get(`/threads/${of}/runs/${runId}/join`);
      gates.remove();
    },
    /** Resolves when the run's status is this one. */
    reaches: (runId: string, status: string) => until(async () => (await get(runId)).status === status),
    status: async (runId: string) => (await get(runId)).status,
    state: async () => (await rest.get(`${thread}/state`)).body,
    history: async () => (await rest.get(`${thread}/history?limit=1000`)).body,
    current: async () => (await rest.get(thread)).body,
  };
}

export type RestKit = Awaited<ReturnType<typeof createRestKit>>;

/** All events of a stream. */
export async function collect(events: AsyncIterable<SentEvent>): Promise<SentEvent[]> {
  const all: SentEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
