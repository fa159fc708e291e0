import type { DescMessage, Message } from "@bufbuild/protobuf";
import { Code, type ConnectError, type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { BodyError, type BodyFault } from "../bodies/body-error.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import type { Codec } from "../bodies/light-message.ts";
import { createError } from "./error-info.ts";
import { describeRequestError } from "./request-errors.ts";

/** The message of a request that was read elsewhere. */
const messageKey = createContextKey<Message | undefined>(undefined, { description: "a message read elsewhere" });

const envelopeHead = 5;

/**
 * Lets the message of a large request be read on another thread. Connect, which would read it here, gets an empty message in its
 * place, for which the interceptor below puts in what was read. Methods take one message; those that take a stream are left alone.
 */
export function readLargeElsewhere(
  rpc: UniversalHandler,
  request: UniversalServerRequest,
  values: ContextValues,
  { large, readMaxBytes }: { large: LargeBodies; readMaxBytes: number },
): UniversalServerRequest {
  const isOneMessage = rpc.method.methodKind === "unary" || rpc.method.methodKind === "server_streaming";
  const type = /^application\/(grpc(?:-web)?|connect)?\+?(json|proto)?\b/.exec(
    request.header.get("content-type") ?? "",
  );
  const body = request.body;
  const tooLong = Number(request.header.get("content-length")) > readMaxBytes + envelopeHead;
  if (!isOneMessage || !type || tooLong || request.method !== "POST" || !isAsyncIterable(body)) return request;
  const codec: Codec = type[2] === "json" ? "json" : "binary";
  const isEnveloped = type[1] !== undefined;
  // Connect gets other bytes than `content-length` promises; Node has checked that all of those came.
  request.header.delete("content-length");
  return { ...request, body: aside() };

  async function* aside(): AsyncGenerator<Uint8Array> {
    const { chunks, bytes, rest } = await readMessage(body as AsyncIterable<Uint8Array>, isEnveloped, readMaxBytes);
    if (bytes === undefined) yield* chunks;
    else if (isSmall(rpc.method.input, bytes)) yield* chunks;
    else {
      values.set(messageKey, await large.readMessage(rpc.method, bytes, codec).catch(refuse));
      yield emptyMessage(isEnveloped, codec);
    }
    yield* rest;
  }

  function isSmall(input: DescMessage, bytes: Uint8Array): boolean {
    try {
      return large.isSmallMessage(input, bytes, codec);
    } catch (error) {
      return refuse(error);
    }
  }

  function refuse(error: unknown): never {
    throw error instanceof BodyError ? toConnectError(error, rpc.method.input) : error;
  }
}

/** Puts the message that was read elsewhere in the place of the empty one. Before validation. */
export function createLargeRequestsInterceptor(): Interceptor {
  return (next) => (request) => {
    if (request.stream) {
      const { message } = request;
      return next({ ...request, message: mapped(message, (one) => request.contextValues.get(messageKey) ?? one) });
    }
    return next({ ...request, message: request.contextValues.get(messageKey) ?? request.message });
  };
}

async function* mapped<T>(source: AsyncIterable<T>, change: (one: T) => T): AsyncGenerator<T> {
  for await (const one of source) yield change(one);
}

interface ReadMessage {
  /** What was read, as it came. */
  readonly chunks: readonly Uint8Array[];
  /** The message; undefined for what Connect refuses by itself: compressed, too long, or broken off. */
  readonly bytes: Uint8Array | undefined;
  readonly rest: AsyncIterable<Uint8Array>;
}

async function readMessage(body: AsyncIterable<Uint8Array>, isEnveloped: boolean, most: number): Promise<ReadMessage> {
  const iterator = body[Symbol.asyncIterator]();
  const rest = { [Symbol.asyncIterator]: () => iterator };
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const wanted = isEnveloped ? envelopeLength(chunks, size) : undefined;
    if (size - envelopeHead > most || wanted === "unreadable") return { chunks, bytes: undefined, rest };
    if (wanted !== undefined && size >= envelopeHead + wanted) {
      return { chunks, bytes: Buffer.concat(chunks).subarray(envelopeHead, envelopeHead + wanted), rest };
    }
    const next = await iterator.next();
    if (next.done) return { chunks, bytes: isEnveloped ? undefined : Buffer.concat(chunks), rest };
    chunks.push(next.value);
    size += next.value.length;
  }

  /** How long the message is; undefined as long as its envelope's head has not come. */
  function envelopeLength(parts: Uint8Array[], length: number): number | "unreadable" | undefined {
    if (length < envelopeHead) return undefined;
    if (parts[0]!.length < envelopeHead) parts.splice(0, parts.length, Buffer.concat(parts));
    const head = parts[0]!;
    const announced = Buffer.from(head.buffer, head.byteOffset, head.length).readUInt32BE(1);
    return head[0] !== 0 || announced > most ? "unreadable" : announced;
  }
}

function emptyMessage(isEnveloped: boolean, codec: Codec): Uint8Array {
  const message = Buffer.from(codec === "json" ? "{}" : "");
  return isEnveloped ? Buffer.from([0, 0, 0, 0, message.length, ...message]) : message;
}

const codes: Record<BodyFault, [Code, string]> = {
  malformed: [Code.InvalidArgument, "MALFORMED_REQUEST"],
  too_deep: [Code.InvalidArgument, "MALFORMED_REQUEST"],
  field: [Code.InvalidArgument, "INVALID_FIELD"],
  too_large: [Code.ResourceExhausted, "REQUEST_TOO_LARGE"],
  busy: [Code.Unavailable, "TOO_BUSY"],
};

function toConnectError({ fault, message, field }: BodyError, input: DescMessage): ConnectError {
  const [code, reason] = codes[fault];
  if (fault === "field") {
    return createError({ code, reason, message: `${field}: ${message}`, metadata: { field: field! } });
  }
  const described = fault === "malformed" ? describeRequestError(message, input) : undefined;
  return createError(described ?? { code, reason, message: `The request ${message}.` });
}

const isAsyncIterable = (body: unknown): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && Symbol.asyncIterator in body;
