import { create, type JsonObject } from "@bufbuild/protobuf";
import { type Payload, PayloadFormat, PayloadSchema } from "../../../gen/reins/v1/payload_pb.ts";
import { BodyError } from "../../bodies/body-error.ts";
import { valueLater } from "../../bodies/late-values.ts";
import { textOf } from "../../bodies/payload-text.ts";
import { DomainError } from "../../domain/errors.ts";
import type { Json } from "../../domain/run/run.ts";

/** The JSON text of a request's payload. `field` is its path in the request, for the error. */
export function payloadText(payload: Payload | undefined, field: string): Json | undefined {
  try {
    return textOf(payload, field);
  } catch (cause) {
    if (!(cause instanceof BodyError) || cause.field === undefined) throw cause;
    const { field: path, message } = cause;
    throw new DomainError("INVALID_FIELD", `${path}: ${message}`, { metadata: { field: path }, cause });
  }
}

/** How payloads go into one response. */
export type PayloadWriter = (text: Json) => Payload;

export function payloadWriter(format: PayloadFormat): PayloadWriter {
  const encoder = new TextEncoder();
  const isJson = format === PayloadFormat.JSON;
  return (text) => {
    const bytes = encoder.encode(text);
    return create(PayloadSchema, { encoding: { case: "json", value: isJson ? bytes : valueLater(bytes) } });
  };
}

export const structOf = (fields: Readonly<Record<string, unknown>>): JsonObject => fields as JsonObject;
