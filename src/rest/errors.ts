import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError, type ErrorKind, type ErrorReason } from "../domain/errors.ts";
import { shortened } from "../domain/shortened.ts";

/** A sentence may quote its request; as many as there may be complaints about a body fit in. */
export const maxDetail = 11_000;

/** An answer that is no success: every such body is `{"detail": "<one sentence>"}`, as LangGraph's server has it. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}, cause?: unknown) {
    super(shortened(detail, maxDetail), { cause });
    this.status = status;
    this.headers = headers;
  }
}

/** What a route says of a domain error in LangGraph's words; our own sentence when it says nothing. */
type Wording = (error: DomainError) => string | undefined;

/** A route's own answers to domain errors; the others get the status of their kind, and their sentence. */
export type ErrorAnswers = Partial<Record<ErrorReason, readonly [status: number, wording?: Wording]>>;

const statuses: Record<ErrorKind, number> = {
  invalid: 422,
  not_found: 404,
  exists: 409,
  conflict: 409,
  precondition: 409,
  out_of_range: 416,
  exhausted: 429,
  unavailable: 503,
  unauthenticated: 401,
  denied: 403,
  internal: 500,
};

const connectStatuses: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: 422,
  [Code.Unavailable]: 503,
};

const threadNotFound: Wording = ({ metadata }) =>
  metadata.thread_id && `Thread with ID ${metadata.thread_id} not found`;

/** Texts of LangGraph's server, version 0.16.7, by which programs may tell errors apart. */
const general: ErrorAnswers = {
  THREAD_NOT_FOUND: [404, threadNotFound],
  RUN_NOT_FOUND: [404, () => "Not Found"],
  THREAD_EXISTS: [409, ({ metadata }) => metadata.thread_id && `Thread with ID ${metadata.thread_id} already exists`],
  INPUT_TOO_LARGE: [413],
  ASSISTANT_READ_ONLY: [403],
};

/** Undefined for an error that is not for clients to see. */
export function toRestError(error: unknown, own: ErrorAnswers = {}): RestError | undefined {
  if (error instanceof RestError) return error;
  if (error instanceof DomainError) {
    const [usual, wording] = own[error.reason] ?? general[error.reason] ?? [statuses[error.kind]];
    const status = error.httpStatus ?? usual;
    const retry: Record<string, string> = status === 503 ? { "retry-after": "1" } : {};
    return new RestError(status, wording?.(error) ?? error.message, { ...retry, ...error.headers }, error);
  }
  if (!(error instanceof ConnectError)) return undefined;
  const status = connectStatuses[error.code];
  return status === undefined ? undefined : new RestError(status, error.rawMessage, {}, error);
}
