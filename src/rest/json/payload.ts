import { type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Payload, PayloadFormat, type PayloadSchema } from "../../../gen/reins/v1/payload_pb.ts";
import { smallBytes } from "../../bodies/body-error.ts";
import { markChecked } from "../../bodies/payload-text.ts";
import { RawJson, stringify } from "./raw-json.ts";

/** What every request of the edge asks for: the text then goes through as it is. */
export const payloadFormat = PayloadFormat.JSON;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A request's payload; absent for undefined. */
export const toPayload = (value: unknown): MessageInitShape<typeof PayloadSchema> | undefined =>
  value === undefined ? undefined : { encoding: { case: "json", value: read(encoder.encode(stringify(value))) } };

/** A large payload has been read, and checked, on another thread. */
const read = (bytes: Uint8Array): Uint8Array => (bytes.length > smallBytes ? markChecked(bytes) : bytes);

/** The JSON text of an answer's payload, on one line; undefined for none. */
export function payloadJson(payload: Payload | undefined): string | undefined {
  switch (payload?.encoding.case) {
    case "json":
      return decoder.decode(payload.encoding.value);
    case "value":
      return toJsonString(ValueSchema, payload.encoding.value);
    default:
      return undefined;
  }
}

/** The same for an answer's body; `absent` when there is none. */
export function rawPayload<T>(payload: Payload | undefined, absent: T): RawJson | T {
  const text = payloadJson(payload);
  return text === undefined ? absent : new RawJson(text);
}
