import { randomUUID } from "node:crypto";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { callKey } from "../call-gate.ts";
import { abortError } from "../client-gone.ts";
import { createError, findErrorInfo } from "../error-info.ts";
import { describeRequestError } from "../request-errors.ts";

export interface ErrorsOptions {
  /** Turns the errors that the services know into Connect errors; undefined for any other. */
  readonly mapError: (error: unknown) => ConnectError | undefined;
  readonly shutdownSignal: AbortSignal;
  readonly log: Logger;
}

/**
 * Decides what a handler's error looks like outside: the services' errors through `mapError`; an aborted call by why it was
 * aborted; anything else as a bare `internal` whose error id stands in the log beside the real error.
 */
export function createErrorsInterceptor(options: ErrorsOptions): Interceptor {
  return (next) => async (request) => {
    const context = request.contextValues.get(callKey)?.context;
    const translate = (error: unknown) => translateError(error, context, options);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: translateFailures(response.message, translate) } : response;
    } catch (error) {
      throw translate(error);
    }
  };
}

function translateError(error: unknown, context: HandlerContext | undefined, options: ErrorsOptions): ConnectError {
  const known = options.mapError(error);
  if (known) {
    return known;
  }
  if (error instanceof ConnectError && findErrorInfo(error)) {
    return error;
  }
  if (context?.signal.aborted && isAbort(error, context.signal)) {
    return abortError(context, options.shutdownSignal);
  }
  if (error instanceof ConnectError && isPresentable(error, context)) {
    return error;
  }
  return internalError(error, context, options.log);
}

/** Waits that take the signal reject with its reason, or with an AbortError that has it as its cause. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  return (
    error === signal.reason ||
    (error instanceof ConnectError && error.code === Code.Canceled) ||
    (error instanceof Error && error.name === "AbortError")
  );
}

/** An error made for the client, or one of Connect's about the request; it gets its ErrorInfo when the call ends. */
function isPresentable(error: ConnectError, context: HandlerContext | undefined): boolean {
  return (
    (error.code !== Code.Internal && error.code !== Code.Unknown) ||
    (context !== undefined && describeRequestError(error.rawMessage, context.method.input) !== undefined)
  );
}

function internalError(error: unknown, context: HandlerContext | undefined, log: Logger): ConnectError {
  const errorId = randomUUID();
  const call = context?.values.get(callKey);
  const method = context && `${context.service.typeName}/${context.method.name}`;
  log.error({ err: error, errorId, method, requestId: call?.requestId }, "a call failed unexpectedly");
  return createError(
    { code: Code.Internal, reason: "INTERNAL", message: `Internal error ${errorId}.`, metadata: { error_id: errorId } },
    error,
  );
}

/** The same messages with a translated error. By hand, since a generator here would cost every message an extra hop. */
function translateFailures<T>(source: AsyncIterable<T>, translate: (error: unknown) => ConnectError): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      const fail = (error: unknown) => {
        throw translate(error);
      };
      return {
        next: () => iterator.next().catch(fail),
        throw: (error) => iterator.throw?.(error).catch(fail) ?? Promise.reject(error),
        return: (value) => iterator.return?.(value).catch(fail) ?? Promise.resolve({ done: true, value }),
      };
    },
  };
}
