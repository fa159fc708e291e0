import { createRegistry, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";

const registry = createRegistry(ErrorInfoSchema);

/**
 * Why a call failed, for programs: for example "RUN_NOT_CANCELLABLE". Reads errors of Connect clients and of grpc-js;
 * undefined for any other error.
 */
export function errorReason(error: unknown): string | undefined {
  return errorInfo(error)?.reason;
}

/** The reason with its facts: `metadata` names, for example, the field that was wrong. */
export function errorInfo(error: unknown): ErrorInfo | undefined {
  const infos = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema) : grpcJsDetails(error);
  return infos.find((info) => info.domain === "reins");
}

/** What grpc-js leaves undecoded in the trailer. Told by its shape, since browsers do not have the library. */
function grpcJsDetails(error: unknown): ErrorInfo[] {
  const { metadata } = (error ?? {}) as { metadata?: { get?: (key: string) => unknown[] } };
  const [status] = metadata?.get?.("grpc-status-details-bin") ?? [];
  if (!(status instanceof Uint8Array)) {
    return [];
  }
  return fromBinary(StatusSchema, status).details.flatMap((detail) => {
    const message = anyUnpack(detail, registry);
    return message?.$typeName === ErrorInfoSchema.typeName ? [message as ErrorInfo] : [];
  });
}
