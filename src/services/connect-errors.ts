import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { DomainError, type ErrorKind, type RunAtFault } from "../domain/errors.ts";

const codes: Record<ErrorKind, Code> = {
  invalid: Code.InvalidArgument,
  not_found: Code.NotFound,
  exists: Code.AlreadyExists,
  conflict: Code.Aborted,
  precondition: Code.FailedPrecondition,
  out_of_range: Code.OutOfRange,
  exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  unauthenticated: Code.Unauthenticated,
  denied: Code.PermissionDenied,
  internal: Code.Internal,
};

const runStatuses: Record<string, RunStatus> = {
  pending: RunStatus.PENDING,
  running: RunStatus.RUNNING,
  success: RunStatus.SUCCESS,
  error: RunStatus.ERROR,
  timeout: RunStatus.TIMEOUT,
  interrupted: RunStatus.INTERRUPTED,
};

/**
 * The Connect error of a domain error: the code of its kind, its sentence, one google.rpc.ErrorInfo with its reason, and the
 * run at fault if it names one. Undefined for any other error, which is not for clients to see.
 */
export function toConnectError(error: unknown): ConnectError | undefined {
  if (!(error instanceof DomainError)) {
    return undefined;
  }
  const { kind, reason, message, metadata, run, headers } = error;
  const info = create(ErrorInfoSchema, { reason, domain: "reins", metadata });
  const details = [
    { desc: ErrorInfoSchema, value: info },
    ...(run ? [{ desc: RunErrorDetailSchema, value: runErrorDetail(run) }] : []),
  ];
  return new ConnectError(message, codes[kind], headers, details, error);
}

function runErrorDetail({ runId, threadId, status }: RunAtFault) {
  return create(RunErrorDetailSchema, { runId, threadId, status: runStatuses[status] ?? RunStatus.UNSPECIFIED });
}
