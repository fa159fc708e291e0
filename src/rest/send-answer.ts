import { once } from "node:events";
import type { NodeServerResponse } from "../server/node-messages.ts";
import type { RestError } from "./errors.ts";
import type { OnRunExists } from "./invoke.ts";
import { jsonPieces, stringify } from "./json/raw-json.ts";
import type { Answer } from "./route.ts";
import { frame } from "./run-answers.ts";

export interface SendOptions {
  /** What a client is told of an error; undefined for one that is not for it to see. */
  readonly tell: (error: unknown) => RestError | undefined;
  /** How often an answer that is not finished shows its client that it goes on. */
  readonly beatMs: number;
  /** Aborted when the client has left. */
  readonly signal: AbortSignal;
}

const jsonType = { "content-type": "application/json" };

/** Sends an answer to its end. Throws what can still be answered with a status; afterwards it ends the answer in its own way. */
export async function sendAnswer(response: NodeServerResponse, answer: Answer, options: SendOptions): Promise<void> {
  const { signal } = options;
  switch (answer.kind) {
    case "json":
      return sendPieces(response, jsonPieces(answer.body), answer.headers ?? {}, signal);
    case "text":
      return end(response, 200, { ...answer.headers, "content-type": answer.contentType }, answer.text);
    case "empty":
      return end(response, answer.status, answer.status === 202 ? { "content-length": "0" } : {}, "");
    case "deferred":
      return sendDeferred(response, answer, options);
    case "events":
      return sendEvents(response, answer, options);
  }
}

export function sendJson(
  response: NodeServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  end(response, status, { ...headers, ...jsonType }, stringify(body));
}

function end(response: NodeServerResponse, status: number, headers: Record<string, string>, text: string): void {
  const length: Record<string, string> = text === "" ? {} : { "content-length": String(Buffer.byteLength(text)) };
  response.writeHead(status, { ...headers, ...length });
  response.end(text);
}

/** One piece after the other, and others are served meanwhile. */
async function sendPieces(
  response: NodeServerResponse,
  pieces: readonly string[],
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const length = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  response.writeHead(200, { ...headers, ...jsonType, "content-length": String(length) });
  for (const piece of pieces.slice(0, -1)) {
    if (!write(response, piece)) await once(response, "drain", { signal });
  }
  response.end(pieces.at(-1) ?? "");
}

/** White space before JSON is JSON: it keeps proxies and clients from giving up, and shows a client that has gone. */
async function sendDeferred(
  response: NodeServerResponse,
  { location, body }: Extract<Answer, { kind: "deferred" }>,
  { beatMs, tell, signal }: SendOptions,
): Promise<void> {
  let beat: NodeJS.Timeout | undefined;
  const onRunExists: OnRunExists = (run) => {
    if (response.headersSent || signal.aborted) return;
    response.writeHead(200, { ...location(run), ...jsonType });
    sendHead(response);
    beat = setInterval(() => showLife(response, "\n"), beatMs);
  };
  try {
    const finished = stringify(await body(onRunExists));
    if (!response.headersSent) response.writeHead(200, jsonType);
    response.end(finished);
  } catch (error) {
    const told = tell(error);
    // The wait has failed, and not the run: whoever waits is cut off and comes back to the location.
    if (!response.headersSent || !told || told.status === 503) throw error;
    // The status has been sent: this is how LangGraph's clients learn of an error in a deferred answer.
    response.end(stringify({ __error__: { error: nameOf(told), message: told.message } }));
  } finally {
    clearInterval(beat);
  }
}

const nameOf = ({ cause }: RestError): string =>
  typeof cause === "object" && cause !== null && "reason" in cause ? String(cause.reason) : "HTTPException";

async function sendEvents(
  response: NodeServerResponse,
  { location, tellsErrors, events }: Extract<Answer, { kind: "events" }>,
  { beatMs, tell, signal }: SendOptions,
): Promise<void> {
  let beat: NodeJS.Timeout | undefined;
  const open = (headers: Readonly<Record<string, string>>) => {
    if (response.headersSent || signal.aborted) return;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "x-accel-buffering": "no",
      ...headers,
    });
    sendHead(response);
    beat = setInterval(() => showLife(response, ": heartbeat\r\n\r\n"), beatMs);
  };
  try {
    for await (const text of events((run) => open(location?.(run) ?? {}))) {
      open({});
      if (!write(response, text)) await once(response, "drain", { signal });
    }
    response.end();
  } catch (error) {
    const told = tellsErrors && tell(error);
    // Whoever is cut off comes back for the rest: in vain, where it is known what has become of it.
    if (!response.headersSent || signal.aborted || !told || told.status === 503) throw error;
    response.end(frame("error", stringify({ error: nameOf(told), message: told.message })));
  } finally {
    clearInterval(beat);
  }
}

/** HTTP/2 has sent it already; HTTP/1.1 would wait for the first part of the body. */
function sendHead(response: NodeServerResponse): void {
  if ("flushHeaders" in response) response.flushHeaders();
}

/** A client that does not read needs no sign of life; they would pile up. */
function showLife(response: NodeServerResponse, sign: string): void {
  if (!response.writableNeedDrain) write(response, sign);
}

/** False when the client reads more slowly than we write. */
function write(response: NodeServerResponse, text: string): boolean {
  // The two kinds of responses have no common signature.
  return (response as unknown as { write(text: string): boolean }).write(text);
}
