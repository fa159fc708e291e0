import { performance } from "node:perf_hooks";
import type { ConnectRouterOptions, HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "pino";
import { deadlineKey, shuttingDown } from "./client-gone.ts";
import { addErrorInfo, type Complaint, findErrorInfo } from "./error-info.ts";
import { fitTrailers } from "./fit-trailers.ts";
import { describeRequestError } from "./request-errors.ts";

/** What is known of one call besides its messages. */
export interface Call {
  /** From the header `x-request-id`, or made here; goes back in the same header and stands in every log line. */
  readonly requestId: string;
  /** The client's address and port. */
  readonly peer: string;
  /** Set as soon as the call has found its method. */
  context?: HandlerContext;
}

export const callKey = createContextKey<Call | undefined>(undefined, { description: "the call" });

export interface CallGateOptions {
  readonly log: Logger;
  /** True once no new calls are taken. */
  readonly isDraining: () => boolean;
  /** Services that answer while draining too, and whose calls are not worth a line at level info. */
  readonly alwaysOpen: ReadonlySet<string>;
}

type Gate = NonNullable<ConnectRouterOptions["requestGate"]>;

/**
 * Where every call of every protocol begins and ends. Connect asks the gate before it reads a request, and calls the
 * context's `abort` when the call is over, with the error that it is about to send. That covers what interceptors never see:
 * requests that cannot be read, answers that are too large.
 */
export function createCallGate(options: CallGateOptions): Gate {
  return (context) => {
    const startedAt = performance.now();
    const call: Call = context.values.get(callKey) ?? { requestId: "", peer: "" };
    call.context = context;
    context.values.set(callKey, call).set(deadlineKey, context.timeoutMs());
    onEnd(context, (error) => {
      const quiet = options.alwaysOpen.has(context.service.typeName);
      options.log[quiet ? "debug" : "info"](
        {
          method: `${context.service.typeName}/${context.method.name}`,
          protocol: context.protocolName,
          code: error === undefined ? "ok" : codeToString(error.code),
          ms: Math.round(performance.now() - startedAt),
          requestId: call.requestId,
          peer: call.peer,
        },
        "call",
      );
    });
    if (options.isDraining() && !options.alwaysOpen.has(context.service.typeName)) {
      throw shuttingDown();
    }
  };
}

/** One for all calls: a signal that is aborted without a reason makes an error with a stack of its own. */
const callIsOver = new DOMException("The call is over", "AbortError");

/** Calls back once, before the outcome is sent; a failed call's error then carries its ErrorInfo. */
function onEnd(context: HandlerContext, callback: (error: ConnectError | undefined) => void): void {
  const controller = context as HandlerContext & { abort(reason?: unknown): void };
  const abort = controller.abort;
  let ended = false;
  controller.abort = (reason) => {
    if (reason instanceof ConnectError) {
      complete(reason, context);
      fitTrailers(reason);
    }
    if (!ended) {
      ended = true;
      callback(reason === undefined ? undefined : ConnectError.from(reason, Code.Internal));
    }
    abort.call(controller, reason ?? callIsOver);
  };
}

/** Node's own errors have a code; what a handler says does not come from one. */
const isOfConnection = ({ cause }: ConnectError): boolean =>
  cause instanceof Error && typeof (cause as NodeJS.ErrnoException).code === "string";

/** Gives an error of Connect's own the sentence and the ErrorInfo that all others have. */
function complete(error: ConnectError, context: HandlerContext): void {
  // Connect fails to encode half of a surrogate pair, which a message that quotes its request may hold.
  Object.assign(error, { rawMessage: error.rawMessage.toWellFormed() });
  if (findErrorInfo(error)) {
    return;
  }
  // Connect's node adapter says Aborted when the connection broke under a read or write; domain errors come with an ErrorInfo.
  const complaint: Complaint | undefined =
    error.code === Code.Aborted && isOfConnection(error)
      ? { code: Code.Canceled, reason: "CLIENT_GONE", message: "The client has left." }
      : describeRequestError(error.rawMessage, context.method.input);
  if (complaint) {
    // The error is Connect's and already on its way out, so it is corrected in place.
    Object.assign(error, { code: complaint.code, rawMessage: complaint.message });
  }
  const { reason, metadata } = complaint ?? { reason: codeToString(error.code).toUpperCase(), metadata: undefined };
  addErrorInfo(error, reason, metadata);
}
