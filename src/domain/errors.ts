/**
 * The errors that the domain throws. The reason is the stable, machine-readable name (google.rpc.ErrorInfo.reason); the
 * message is one sentence for a person: what is wrong, where, and what is allowed.
 */
export type ErrorReason = keyof typeof errorKinds;

/** What kind of failure a reason is; the services and the REST edge map kinds to their own codes. */
export type ErrorKind =
  | "invalid"
  | "not_found"
  | "exists"
  | "conflict"
  | "precondition"
  | "out_of_range"
  | "exhausted"
  | "unavailable"
  | "unauthenticated"
  | "denied"
  | "internal";

const errorKinds = {
  INVALID_FIELD: "invalid",
  INVALID_PAGE_TOKEN: "invalid",
  GRAPH_NOT_FOUND: "invalid",
  GRAPH_UNAVAILABLE: "precondition",
  GRAPH_TIMEOUT: "unavailable",
  ASSISTANT_NOT_FOUND: "not_found",
  ASSISTANT_EXISTS: "exists",
  ASSISTANT_READ_ONLY: "precondition",
  THREAD_NOT_FOUND: "not_found",
  THREAD_EXISTS: "exists",
  THREAD_BUSY: "conflict",
  RUN_NOT_FOUND: "not_found",
  RUN_EXISTS: "exists",
  RUN_NOT_CANCELLABLE: "precondition",
  WEBHOOK_NOT_FAILED: "precondition",
  REQUEST_EXISTS: "exists",
  TOO_MANY_RUNS: "exhausted",
  CHECKPOINT_NOT_FOUND: "not_found",
  INTERRUPT_NOT_OPEN: "precondition",
  SEQUENCE_OUT_OF_RANGE: "out_of_range",
  INPUT_TOO_LARGE: "exhausted",
  DATABASE_UNAVAILABLE: "unavailable",
  SHUTTING_DOWN: "unavailable",
  UNAUTHENTICATED: "unauthenticated",
  PERMISSION_DENIED: "denied",
  RATE_LIMITED: "exhausted",
  ACCESS_UNAVAILABLE: "unavailable",
  ACCESS_FAILED: "internal",
  NOT_FOUND: "not_found",
} as const satisfies Record<string, ErrorKind>;

/** The run that stands in the way, for errors that have one. */
export interface RunAtFault {
  readonly runId: string;
  readonly threadId: string;
  readonly status: string;
}

export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly kind: ErrorKind;
  readonly reason: ErrorReason;
  /** Short facts for machines, for example the field or the id. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly run: RunAtFault | undefined;
  /** What goes along as headers of the answer: how to log in, or when to come back. */
  readonly headers: Readonly<Record<string, string>>;
  /** The HTTP status of the answer, where whoever refuses has chosen one; else that of the kind. */
  readonly httpStatus: number | undefined;

  constructor(
    reason: ErrorReason,
    message: string,
    details: {
      metadata?: Record<string, string>;
      run?: RunAtFault;
      headers?: Record<string, string>;
      httpStatus?: number | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.reason = reason;
    this.kind = errorKinds[reason];
    this.metadata = details.metadata ?? {};
    this.run = details.run;
    this.headers = details.headers ?? {};
    this.httpStatus = details.httpStatus;
  }
}

/** Whether it is one of these errors. */
export const isDomainError = (error: unknown, ...reasons: readonly ErrorReason[]): boolean =>
  error instanceof DomainError && reasons.includes(error.reason);

/** A state that its graph cannot read, for good or for the moment. */
export const cannotBeRead = (error: unknown): boolean => isDomainError(error, "GRAPH_UNAVAILABLE", "GRAPH_TIMEOUT");

/** An error of the domain's as an answer; throws any other. */
export function orThrow(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  throw error;
}

/** Takes these errors as done: what was asked for has happened by itself in between. */
export const ifMerely =
  (...reasons: ErrorReason[]) =>
  (error: unknown): void => {
    if (!isDomainError(error, ...reasons)) throw error;
  };
