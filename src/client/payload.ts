import type { JsonValue } from "@bufbuild/protobuf";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Payload, PayloadFormat, PayloadSchema } from "../../gen/reins/v1/payload_pb.ts";

/**
 * Puts a JSON value into a Payload: by default as JSON bytes, which cost about a third; as PayloadFormat.VALUE where people
 * are to read it on the wire.
 *
 * @throws TypeError for what JSON cannot hold at the top, such as undefined, a function or a bigint.
 */
export function toPayload(json: unknown, format: PayloadFormat = PayloadFormat.JSON): Payload {
  const text: string | undefined = JSON.stringify(json);
  if (text === undefined) {
    throw new TypeError(`A payload holds JSON; ${typeof json} is none.`);
  }
  if (format === PayloadFormat.JSON) {
    return create(PayloadSchema, { encoding: { case: "json", value: new TextEncoder().encode(text) } });
  }
  const value = fromJson(ValueSchema, JSON.parse(text) as JsonValue);
  return create(PayloadSchema, { encoding: { case: "value", value } });
}

/** The JSON value in a Payload, whichever way it travelled; undefined when the payload was left out. */
export function fromPayload(payload: Payload | undefined): JsonValue | undefined {
  switch (payload?.encoding.case) {
    case "json":
      return JSON.parse(new TextDecoder().decode(payload.encoding.value)) as JsonValue;
    case "value":
      return toJson(ValueSchema, payload.encoding.value);
    default:
      return undefined;
  }
}
