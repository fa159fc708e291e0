import { create, type DescMethod, fromBinary, fromJsonString, type Message, toBinary } from "@bufbuild/protobuf";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { PayloadSchema } from "../../gen/reins/v1/payload_pb.ts";
import { BodyError, tooMany } from "./body-error.ts";
import { maxBeside } from "./fold-json.ts";
import { scanJson } from "./json-scan.ts";
import { forEachPayload, textOf } from "./payload-text.ts";
import { countFields } from "./wire-scan.ts";

/** How a message travels. */
export type Codec = "json" | "binary";

/**
 * Reads a request of any size and writes it so that it is read again in no time: each payload as JSON bytes, which have been
 * checked. Throws BodyError; `malformed` with the decoder's own words.
 */
export function toLightMessage(method: DescMethod, bytes: Uint8Array, codec: Codec, maxValues: number): Uint8Array {
  const message = codec === "json" ? readJson(method, bytes, maxValues) : readBinary(method, bytes, maxValues);
  forEachPayload(method.input, message, (payload, path) => {
    const text = textOf(payload, path);
    if (text === undefined) return;
    const bytes = new TextEncoder().encode(text);
    if (isLookedInto(method, path)) boundField(bytes, path);
    const init = create(PayloadSchema, { encoding: { case: "json", value: bytes } });
    Object.assign(payload, { encoding: init.encoding });
  });
  const light = toBinary(method.input, message);
  if (countFields(method.input, light, maxBeside) > maxBeside) throw tooMany(maxBeside, "values beside its payloads");
  return light;
}

/** What the server itself reads: a configuration for the keys that are reserved, and all that an assistant adds to its runs. */
const isLookedInto = ({ parent }: DescMethod, path: string): boolean =>
  parent.typeName === AssistantService.typeName || path.endsWith(".configurable");

function boundField(bytes: Uint8Array, path: string): void {
  try {
    scanJson(bytes, maxBeside);
  } catch (error) {
    throw error instanceof BodyError ? new BodyError("field", error.message, path) : error;
  }
}

function readJson({ input }: DescMethod, bytes: Uint8Array, maxValues: number): Message {
  scanJson(bytes, maxValues);
  try {
    return fromJsonString(input, new TextDecoder().decode(bytes), { ignoreUnknownFields: false });
  } catch (error) {
    throw new BodyError("malformed", (error as Error).message);
  }
}

function readBinary({ input }: DescMethod, bytes: Uint8Array, maxValues: number): Message {
  if (countFields(input, bytes, maxValues) > maxValues) throw tooMany(maxValues);
  try {
    return fromBinary(input, bytes);
  } catch (error) {
    throw new BodyError("malformed", `parse binary: ${(error as Error).message}`);
  }
}
