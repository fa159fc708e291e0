import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";

/** What came back from a call that was made by hand. */
export interface RawAnswer {
  /** The Connect code; "ok" for success. */
  readonly code: string;
  readonly message: string;
  readonly infos: readonly ErrorInfo[];
  /** The answer's JSON: the message, or of a stream the list of its messages. */
  readonly json: unknown;
}

interface WireError {
  code: string;
  message?: string;
  details?: { type: string; value: string }[];
}

const methods = [RunService, ThreadService, AssistantService, OperationService].flatMap((service) => service.methods);

/**
 * Calls an RPC with Connect over HTTP/1.1 as `curl` does: the body goes out as it is, so that it may be anything. An object is
 * sent as JSON.
 */
export async function rawCall(url: string, rpc: string, body: unknown): Promise<RawAnswer> {
  const method = methods.find((one) => one.name === rpc);
  if (!method) throw new Error(`there is no RPC ${rpc}`);
  const isStream = method.methodKind === "server_streaming";
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${url}/${method.parent.typeName}/${rpc}`, {
    method: "POST",
    headers: { "content-type": isStream ? "application/connect+json" : "application/json" },
    body: isStream ? encodeEnvelope(0, new TextEncoder().encode(text)) : text,
  });
  if (isStream && response.ok) return streamAnswer(new Uint8Array(await response.arrayBuffer()));
  const json = (await response.json()) as WireError;
  return response.ok ? { code: "ok", message: "", infos: [], json } : failure(json);
}

function streamAnswer(bytes: Uint8Array): RawAnswer {
  const messages: unknown[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at + 1, 4).getUint32(0);
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(at + 5, at + 5 + length)));
    if (((bytes[at] ?? 0) & 2) === 0) messages.push(json);
    else if (json.error) return { ...failure(json.error), json: messages };
    at += 5 + length;
  }
  return { code: "ok", message: "", infos: [], json: messages };
}

function failure({ code, message = "", details = [] }: WireError): RawAnswer {
  const infos = details
    .filter(({ type }) => type === ErrorInfoSchema.typeName)
    .map(({ value }) => fromBinary(ErrorInfoSchema, Buffer.from(value, "base64")));
  return { code, message, infos, json: undefined };
}
