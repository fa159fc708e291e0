import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Violation } from "@bufbuild/protovalidate";
import { ValidationError } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { createValidateInterceptor } from "@connectrpc/validate";
import { createError } from "../error-info.ts";
import { enumNames } from "../request-errors.ts";
import { FirstViolations, validator } from "../validator.ts";

/**
 * Checks each request against the rules of its proto. A violation is INVALID_ARGUMENT, reason INVALID_FIELD: the message
 * names each field and what is allowed, and the buf.validate.Violations stay beside the ErrorInfo. Of many the first are told, and
 * how many more there are.
 */
export function createValidationInterceptor(): Interceptor {
  const validate = createValidateInterceptor({ validator });
  return (next) => {
    const validated = validate(next);
    return async (request) => {
      try {
        return await validated(request);
      } catch (error) {
        throw nameFields(error);
      }
    };
  };
}

function nameFields(error: unknown): unknown {
  if (!(error instanceof ConnectError && error.cause instanceof ValidationError)) {
    return error;
  }
  const named = violationError(error.cause);
  named.details.push(...error.details);
  return named;
}

/** INVALID_ARGUMENT with a sentence that names each field and what is allowed. */
export function violationError(cause: ValidationError): ConnectError {
  const { violations } = cause;
  const more = cause instanceof FirstViolations ? cause.more : 0;
  const sentences = [...violations.map(describe), ...(more > 0 ? [`and ${more} more`] : [])];
  return createError(
    {
      code: Code.InvalidArgument,
      reason: "INVALID_FIELD",
      message: `${sentences.join("; ")}.`,
      metadata: { field: violations.map(fieldOf).join(", "), ...(more > 0 && { more: String(more) }) },
    },
    cause,
  );
}

function describe(violation: Violation): string {
  return `${fieldOf(violation)}: ${allowed(violation) ?? violation.message}`;
}

function fieldOf(violation: Violation): string {
  return pathToString(violation.field) || "request";
}

/** protovalidate says that an enum's value is wrong, but not which ones are right. */
function allowed(violation: Violation): string | undefined {
  const field = violation.field.findLast((segment) => segment.kind === "field");
  return violation.ruleId.startsWith("enum.") && field?.enum ? `must be one of ${enumNames(field.enum)}` : undefined;
}
