import { randomBytes } from "node:crypto";
import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Payload } from "../../gen/reins/v1/payload_pb.ts";
import { BodyError } from "../bodies/body-error.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { isLateValue, isTooDeepForValue, valueBytes } from "../bodies/late-values.ts";
import { forEachPayload } from "../bodies/payload-text.ts";

/** What stands for a payload in the JSON of an answer until it is sent. Nobody can guess it. */
interface Held {
  /** Of what is sent in its place. */
  readonly size: number;
  readonly bytes: () => Uint8Array;
}

/** The payloads of one call that are put into its answers as they are sent, by what stands for them. */
export type HeldPayloads = Map<string, Held>;

export const heldKey = createContextKey<HeldPayloads | undefined>(undefined, { description: "payloads held back" });

/** Smaller ones are written with the rest of their message. */
const heldBytes = 4096;
/** JSON text that is made a Value at once, rather than on another thread. */
const smallText = 32 * 1024;
/** The text of a token between quotes: 24 bytes in base64. */
const tokenPattern = /"([\w+/]{32})"/g;
const tokenSize = 34;

export interface LargeAnswersOptions {
  readonly large: LargeBodies | undefined;
  readonly writeMaxBytes: number;
}

/**
 * Writes the payloads of answers, which may have megabytes, without holding up everybody else. In binary, what is to be a Value is
 * made one on another thread. In JSON, a Value is the text that it was made of, and bytes are base64; both are put in as the answer
 * is sent, one after the other.
 */
export function createLargeAnswersInterceptor({ large, writeMaxBytes }: LargeAnswersOptions): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    const held = isJson(request) ? request.contextValues.get(heldKey) : undefined;
    const { output } = request.method;
    const write = (message: Message): Promise<void> | undefined => {
      const payloads = jsonPayloads(output, message);
      if (payloads.length === 0) return undefined;
      return isJson(request) ? writeJson(payloads, held) : writeBinary(payloads);
    };
    if (response.stream) return { ...response, message: eachAfter(response.message, write) };
    await write(response.message);
    return response;
  };

  async function writeBinary(payloads: readonly JsonPayload[]): Promise<void> {
    const wanted = payloads.filter(({ encoding }) => isLateValue(encoding.value));
    if (wanted.length === 0) return;
    const texts = wanted.map(({ encoding }) => encoding.value);
    const values = await toValues(texts).catch(refuse);
    for (const [place, payload] of wanted.entries()) {
      const data = values[place];
      // Too deep for a Value: it stays the JSON that it is.
      if (!data) continue;
      // A field that protobuf does not know in a message is written as the bytes that it is.
      const field = { no: 1, wireType: WireType.LengthDelimited, data };
      Object.assign(payload, { encoding: { case: undefined }, $unknown: [field] });
    }
  }

  async function toValues(texts: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const small = texts.reduce((sum, { length }) => sum + length, 0) <= smallText;
    return small || !large ? valueBytes(texts, writeMaxBytes) : large.toValues(texts, writeMaxBytes);
  }

  async function writeJson(payloads: readonly JsonPayload[], held: HeldPayloads | undefined): Promise<void> {
    const secret = randomBytes(18);
    let size = 0;
    for (const [place, payload] of payloads.entries()) {
      const bytes = payload.encoding.value;
      const isValue = isLateValue(bytes) && !isTooDeepForValue(bytes);
      if (!held || bytes.length < heldBytes) {
        if (isValue) setValue(payload, JSON.parse(new TextDecoder().decode(bytes)) as JsonValue);
        continue;
      }
      const index = Buffer.alloc(6);
      index.writeUIntBE(place, 0, 6);
      const token = Buffer.concat([secret, index]);
      const one = isValue ? { size: bytes.length, bytes: () => bytes } : asBase64(bytes);
      size += one.size;
      if (size > writeMaxBytes) throw tooLarge(writeMaxBytes);
      held.set(token.toString("base64"), one);
      if (isValue) setValue(payload, token.toString("base64"));
      else payload.encoding.value = token;
    }
  }

  function refuse(error: unknown): never {
    throw error instanceof BodyError && error.fault === "too_large" ? tooLarge(writeMaxBytes) : error;
  }
}

/** Connect's own sentence. */
const tooLarge = (most: number): ConnectError =>
  new ConnectError(`message size is larger than configured writeMaxBytes ${most}`, Code.ResourceExhausted);

type JsonPayload = Payload & { encoding: { case: "json"; value: Uint8Array } };

function jsonPayloads(desc: DescMessage, message: Message): JsonPayload[] {
  const found: JsonPayload[] = [];
  forEachPayload(desc, message, (payload) => {
    if (payload.encoding.case === "json") found.push(payload as JsonPayload);
  });
  return found;
}

const setValue = (payload: Payload, json: JsonValue): void =>
  void Object.assign(payload, { encoding: { case: "value", value: fromJson(ValueSchema, json) } });

const asBase64 = (bytes: Uint8Array): Held => ({
  size: 4 * Math.ceil(bytes.length / 3) + 2,
  bytes: () =>
    Buffer.from(`"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}"`, "latin1"),
});

function isJson(request: { header: Headers; url: string; requestMethod: string }): boolean {
  if (request.requestMethod === "GET") return new URL(request.url).searchParams.get("encoding") === "json";
  return /^application\/(?:\S+\+)?json\b/.test(request.header.get("content-type") ?? "");
}

/** The same messages, each after what is to be done with it. By hand, since a generator would cost each of them an extra hop. */
function eachAfter<T>(source: AsyncIterable<T>, act: (one: T) => Promise<void> | undefined): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await iterator.next();
          if (!result.done) await act(result.value);
          return result;
        },
        throw: (error) => iterator.throw?.(error) ?? Promise.reject(error),
        return: (value) => iterator.return?.(value) ?? Promise.resolve({ done: true, value }),
      };
    },
  };
}

/** Puts the payloads that were held back into an answer, each chunk of which is a message. */
export function putHeldPayloads(answer: UniversalServerResponse, held: HeldPayloads): UniversalServerResponse {
  const body = answer.body as AsyncIterable<Uint8Array> | undefined;
  const type = answer.header?.get("content-type") ?? "";
  if (!body || answer.status !== 200 || !/json/.test(type)) return answer;
  const isEnveloped = type !== "application/json";
  const length = answer.header!.get("content-length");
  if (length !== null) {
    const more = [...held.values()].reduce((sum, { size }) => sum + size - tokenSize, 0);
    answer.header!.set("content-length", String(Number(length) + more));
  }
  return { ...answer, body: filled() };

  async function* filled(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body!) {
      if (held.size === 0) yield chunk;
      else yield* fill(chunk);
    }
  }

  function* fill(chunk: Uint8Array): Generator<Uint8Array> {
    const found = [
      ...Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1").matchAll(tokenPattern),
    ]
      .map(({ index, 1: token }) => ({ index, token: token!, one: held.get(token!) }))
      .filter((match) => match.one !== undefined);
    if (isEnveloped) {
      const more = found.reduce((sum, { one }) => sum + one!.size - tokenSize, 0);
      const head = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
      head.setUint32(1, head.getUint32(1) + more);
    }
    let at = 0;
    for (const { index, token, one } of found) {
      yield chunk.subarray(at, index);
      yield one!.bytes();
      held.delete(token);
      at = index + tokenSize;
    }
    yield chunk.subarray(at);
  }
}
