import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { createContextValues, createHandlerContext, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { type Identity, identityKey, isCountedKey, requestIdKey } from "../access/identity.ts";
import { aborted } from "../domain/aborted.ts";
import type { RunName } from "../domain/run/run.ts";
import { violationError } from "../server/interceptors/validation.ts";
import { validator } from "../server/validator.ts";
import { onRunExistsKey } from "../services/on-run-exists.ts";
import { refuseRepeatKey } from "../services/refuse-repeat.ts";

export interface Services {
  readonly runs: ServiceImpl<typeof RunService>;
  readonly threads: ServiceImpl<typeof ThreadService>;
  readonly assistants: ServiceImpl<typeof AssistantService>;
}

/** Told once, when the run of a wait or a stream is known to exist. */
export type OnRunExists = (run: RunName) => void;

/** Calls the handlers of the RPCs for one REST request, with the same validation but without a wire. */
export interface Invoke {
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    onRunExists?: OnRunExists,
  ): Promise<MessageShape<O>>;
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    onRunExists?: OnRunExists,
  ): AsyncIterable<MessageShape<O>>;
}

/** Aborted when the client has left: the handlers judge it as they do a leaver of any other protocol. */
export type CreateInvoke = (asked: Asked, requestSignal: AbortSignal) => Invoke;

interface Asked {
  readonly identity: Identity;
  readonly requestId: string;
  /** The request itself counts among those that stream or wait, and not what it calls. */
  readonly isCounted?: boolean | undefined;
}

type Handler = (request: unknown, context: HandlerContext) => unknown;
type Method = DescMethodUnary | DescMethodServerStreaming;

export function createInvokers(services: Services, shutdownSignal: AbortSignal): CreateInvoke {
  const implementations = new Map<string, Record<string, unknown>>([
    [RunService.typeName, { ...services.runs }],
    [ThreadService.typeName, { ...services.threads }],
    [AssistantService.typeName, { ...services.assistants }],
  ]);

  return ({ identity, requestId, isCounted = false }, requestSignal) => {
    function prepare(method: Method, init: MessageInitShape<DescMessage>, onRunExists: OnRunExists | undefined) {
      const request = create(method.input, init);
      check(method.input, request);
      const context = createHandlerContext({
        service: method.parent,
        method,
        requestSignal,
        shutdownSignal,
        protocolName: "rest",
        requestMethod: "POST",
        url: "http://localhost/",
        contextValues: createContextValues()
          .set(identityKey, identity)
          .set(requestIdKey, requestId)
          .set(isCountedKey, isCounted)
          .set(onRunExistsKey, onRunExists)
          .set(refuseRepeatKey, true),
      });
      const handler = implementations.get(method.parent.typeName)![method.localName] as Handler;
      return { context, answer: () => handler(request, context) };
    }

    return {
      async call(method, init, onRunExists) {
        const { context, answer } = prepare(method, init as MessageInitShape<DescMessage>, onRunExists);
        try {
          return create(method.output, (await answer()) as MessageInitShape<typeof method.output>);
        } finally {
          context.abort(aborted);
        }
      },
      async *stream(method, init, onRunExists) {
        const { context, answer } = prepare(method, init as MessageInitShape<DescMessage>, onRunExists);
        try {
          for await (const message of answer() as AsyncIterable<MessageInitShape<typeof method.output>>) {
            yield create(method.output, message);
          }
        } finally {
          context.abort(aborted);
        }
      },
    };
  };
}

function check(desc: DescMessage, request: MessageShape<DescMessage>): void {
  const result = validator.validate(desc, request);
  if (result.kind === "invalid") throw violationError(result.error);
  if (result.kind === "error") throw result.error;
}
