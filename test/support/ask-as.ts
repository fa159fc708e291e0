import { type DescMessage, type DescMethod, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { errorInfo } from "../../src/client/index.ts";
import { withKey } from "./guarded-app.ts";
import type { RouteRequest } from "./route-cases.ts";

/** What somebody is answered, to be compared: all of it that a caller can see. */
export interface Told {
  /** A code, an HTTP status, or OK. */
  readonly status: string | number;
  readonly text: string;
}

/** Asks an RPC over gRPC; of a stream, for its first message. */
export async function askRpc(url: string, key: string | undefined, method: DescMethod, request: object): Promise<Told> {
  const leaving = new AbortController();
  const interceptors = key === undefined ? [] : [withKey(key)];
  const client = createClient(method.parent, createGrpcTransport({ baseUrl: url, interceptors }));
  const call = (client as unknown as Record<string, (request: object, options: object) => unknown>)[method.localName]!;
  try {
    const answer = call(request, { signal: leaving.signal });
    const message = method.methodKind === "unary" ? await answer : await first(answer as AsyncIterable<unknown>);
    return { status: "OK", text: toText(method, message) };
  } catch (error) {
    const { code, rawMessage, metadata } = ConnectError.from(error);
    const challenge = metadata.get("www-authenticate");
    return { status: code, text: JSON.stringify([rawMessage, errorInfo(error)?.metadata, challenge]) };
  } finally {
    leaving.abort();
  }
}

async function first(stream: AsyncIterable<unknown>): Promise<unknown> {
  for await (const message of stream) return message;
}

const toText = ({ output }: DescMethod, message: unknown): string =>
  message === undefined ? "" : toJsonString(output, message as MessageShape<DescMessage>);

/** Headers by which a caller could tell one answer from another. */
const shown = ["content-type", "location", "content-location", "x-pagination-total", "x-pagination-next", "allow"];

/** Asks over HTTP; of a stream, and of what is answered later, for the head. */
export async function askRoute(
  url: string,
  key: string | undefined,
  method: string,
  { path, body, headers = {} }: RouteRequest,
): Promise<Told> {
  const leaving = new AbortController();
  const response = await fetch(url + path, {
    method,
    signal: leaving.signal,
    headers: {
      ...(key !== undefined && { "x-api-key": key }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  try {
    const { status } = response;
    const isOpen = response.headers.get("content-length") === null && status === 200;
    const text = isOpen ? "" : await response.text();
    const told = shown.map((name) => response.headers.get(name));
    return { status, text: JSON.stringify([text, told, response.headers.get("www-authenticate")]) };
  } finally {
    leaving.abort();
  }
}

const anyId = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const anyTime = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)/g;

/** The same with names for ids, and without what differs from one time to the next. */
export function comparableAnswer({ status, text }: Told, names: object, mine: object): Told {
  let plain = text;
  for (const [name, id] of Object.entries({ ...prefixed("my ", mine), ...names })) {
    if (typeof id === "string") plain = plain.replaceAll(id, `<${name}>`);
  }
  return { status, text: plain.replace(anyId, "<an id>").replace(anyTime, "<a time>") };
}

const prefixed = (prefix: string, fields: object): object =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [prefix + name, value]));
