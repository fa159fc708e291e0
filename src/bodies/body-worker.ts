import type { DescMethod } from "@bufbuild/protobuf";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { canonical } from "../domain/canonical-json.ts";
import { BodyError, type BodyFault } from "./body-error.ts";
import { type FoldedBody, foldJson } from "./fold-json.ts";
import { valueBytes } from "./late-values.ts";
import { type Codec, toLightMessage } from "./light-message.ts";

/** What the thread for large bodies is asked for. */
export type BodyTask =
  | { kind: "json"; bytes: Uint8Array; payloads: readonly string[]; maxValues: number }
  | { kind: "message"; method: string; bytes: Uint8Array; codec: Codec; maxValues: number }
  | { kind: "canonical"; text: string }
  | { kind: "values"; texts: readonly Uint8Array[]; most: number };

export type BodyResult =
  | { kind: "json"; folded: FoldedBody }
  | { kind: "message"; bytes: Uint8Array }
  | { kind: "canonical"; text: string }
  | { kind: "values"; values: readonly (Uint8Array | undefined)[] }
  | { kind: "fault"; fault: BodyFault; message: string; field: string | undefined };

const services = [RunService, ThreadService, AssistantService, OperationService];
const methods = new Map<string, DescMethod>(
  services.flatMap((service) =>
    service.methods.map((method) => [`${service.typeName}/${method.name}`, method] as const),
  ),
);

/** Runs in a thread of its own; see large-bodies.ts. */
export default function readBody(task: BodyTask): BodyResult {
  try {
    if (task.kind === "json") {
      return { kind: "json", folded: foldJson(task.bytes, task.payloads, task.maxValues) };
    }
    if (task.kind === "canonical") return { kind: "canonical", text: canonical(JSON.parse(task.text)) };
    if (task.kind === "values") return { kind: "values", values: valueBytes(task.texts, task.most) };
    return {
      kind: "message",
      bytes: toLightMessage(methods.get(task.method)!, task.bytes, task.codec, task.maxValues),
    };
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    const { fault, message, field } = error;
    return { kind: "fault", fault, message, field };
  }
}
