import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Code } from "@connectrpc/connect";
import { ConnectError } from "@connectrpc/connect";
import type { ErrorInfo } from "../../gen/google/rpc/error_details_pb.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

/** The google.rpc.ErrorInfo.domain of every error that leaves this server. */
const errorDomain = "reins";

/** What the transport itself has to complain about; the services' own reasons come with their errors. */
export interface Complaint {
  readonly code: Code;
  readonly reason: string;
  /** One sentence for a person: what is wrong, and what is allowed. */
  readonly message: string;
  readonly metadata?: Record<string, string>;
}

/** Makes an error with exactly one ErrorInfo. */
export function createError(complaint: Complaint, cause?: unknown): ConnectError {
  const error = new ConnectError(complaint.message, complaint.code, undefined, [], cause);
  addErrorInfo(error, complaint.reason, complaint.metadata);
  return error;
}

/** The error's ErrorInfo, if it carries one of this server. */
export function findErrorInfo(error: ConnectError): ErrorInfo | undefined {
  return error.findDetails(ErrorInfoSchema).find((info) => info.domain === errorDomain);
}

/** Puts an ErrorInfo before the error's other details. */
export function addErrorInfo(error: ConnectError, reason: string, metadata: Record<string, string> = {}): void {
  error.details.unshift(detail(ErrorInfoSchema, { reason, domain: errorDomain, metadata }));
}

function detail<T extends Message>(desc: GenMessage<T>, init: MessageInitShape<GenMessage<T>>) {
  return { desc, value: create(desc, init) };
}
