import { DomainError, type ErrorReason } from "../../domain/errors.ts";
import { shortened } from "../../domain/shortened.ts";
import type { Answer } from "./messages.ts";

type Refused = Extract<Answer, { refused: unknown }>["refused"];

/** What the statuses of an HTTPException are over gRPC; of HTTP's answers they are the statuses. */
const reasons: Readonly<Record<number, ErrorReason>> = {
  400: "INVALID_FIELD",
  401: "UNAUTHENTICATED",
  404: "NOT_FOUND",
  422: "INVALID_FIELD",
  429: "RATE_LIMITED",
  503: "ACCESS_UNAVAILABLE",
};

/** Headers that say how the answer itself is sent. */
const ofTheAnswer =
  /^(connection|keep-alive|content-.*|date|grpc-.*|proxy-.*|te|trailer|transfer-encoding|upgrade|.*-bin)$/;
const longest = 1000;

/** An HTTPException of the file as an error of this server's. One that is no refusal at all lets nobody pass either. */
export function refusalOf({ status, message, headers }: Refused): DomainError {
  if (status < 400 || status > 599) return failed(`it was thrown with the status ${status}, which is none of an error`);
  const reason = reasons[status] ?? (status < 500 ? "PERMISSION_DENIED" : "ACCESS_FAILED");
  const kept = headers.filter(([name]) => !ofTheAnswer.test(name));
  return new DomainError(reason, shortened(message, longest) || "Refused.", {
    headers: { ...(status === 401 && { "www-authenticate": "Bearer" }), ...Object.fromEntries(kept) },
    httpStatus: status,
  });
}

/** Whatever else comes of the file: nobody passes, and nobody is told why but the log. */
export const failed = (problem: string): DomainError =>
  new DomainError("ACCESS_FAILED", "The deployment's access control failed.", { cause: new Error(problem) });
