import { setTimeout as sleep } from "node:timers/promises";
import type { DescService, Message, MessageShape, Registry } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";

/** The service's messages are known by their descriptors alone: these are the fields of them that matter here. */
type Request = Message & { responseDefinition?: Definition; fullDuplex?: boolean };
interface Definition {
  readonly responseHeaders: readonly Header[];
  readonly responseTrailers: readonly Header[];
  readonly responseDelayMs: number;
  /** Of a method with one answer. */
  readonly response?: { case?: "responseData"; value?: Uint8Array } | { case: "error"; value: DefinedError };
  /** Of a method that streams its answers. */
  readonly responseData?: readonly Uint8Array[];
  readonly error?: DefinedError;
}
interface Header {
  readonly name: string;
  readonly value: readonly string[];
}
interface DefinedError {
  readonly code: Code;
  readonly message?: string;
  readonly details: readonly Any[];
}

/** The errors that callers have asked for. */
const askedFor = new WeakSet<object>();

/** A server's `mapError`: what was asked for is an error that the service knows. */
export const mapAskedFor = (error: unknown): ConnectError | undefined =>
  askedFor.has(error as object) ? (error as ConnectError) : undefined;

/**
 * Serves connectrpc.conformance.v1.ConformanceService, whose callers say in each request what the answer shall be. Its comments
 * in service.proto are the specification.
 *
 * @param registry has the service's messages.
 */
export function conformanceRoutes(service: DescService, registry: Registry): (router: ConnectRouter) => void {
  const requestInfo = registry.getMessage("connectrpc.conformance.v1.ConformancePayload.RequestInfo")!;

  function describe(requests: readonly Request[], context: HandlerContext): MessageShape<typeof requestInfo> {
    const timeoutMs = context.timeoutMs();
    const query = context.requestMethod === "GET" ? [...new URL(context.url).searchParams] : undefined;
    return create(requestInfo, {
      requestHeaders: [...context.requestHeader].map(asHeader),
      timeoutMs: timeoutMs === undefined ? undefined : BigInt(Math.ceil(timeoutMs)),
      requests: requests.map((request) => anyPack(registry.getMessage(request.$typeName)!, request)),
      connectGetInfo: query && { queryParams: query.map(asHeader) },
    } as object as Record<string, unknown>);
  }

  function toError({ code, message, details }: DefinedError, info?: Message): ConnectError {
    const given = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
    const described = info ? [{ desc: requestInfo, value: info as object as Record<string, unknown> }] : [];
    const error = new ConnectError(message ?? "", code);
    error.details.push(...given, ...described);
    askedFor.add(error);
    return error;
  }

  async function answerOne(requests: readonly Request[], context: HandlerContext) {
    const definition = requests[0]?.responseDefinition;
    setMetadata(definition, context);
    const info = describe(requests, context);
    await delay(definition, context);
    const { response } = definition ?? {};
    if (response?.case === "error") throw toError(response.value, info);
    return { payload: { requestInfo: info, data: response?.value } };
  }

  async function* answerAll(requests: AsyncIterable<Request>, context: HandlerContext) {
    let definition: Definition | undefined;
    let isFullDuplex: boolean | undefined;
    let unanswered: Request[] = [];
    let sent = 0;
    const next = async () => {
      await delay(definition, context);
      const data = definition?.responseData?.[sent];
      const info = sent === 0 || isFullDuplex ? describe(unanswered, context) : undefined;
      unanswered = [];
      sent += 1;
      return { payload: { data, requestInfo: info } };
    };
    const isMore = () => sent < (definition?.responseData?.length ?? 0);

    for await (const request of requests) {
      unanswered.push(request);
      if (isFullDuplex === undefined) {
        definition = request.responseDefinition;
        isFullDuplex = request.fullDuplex ?? false;
        setMetadata(definition, context);
      }
      if (!isFullDuplex) continue;
      if (!isMore()) break;
      yield await next();
    }
    while (isMore()) yield await next();
    if (definition?.error) throw toError(definition.error, sent === 0 ? describe(unanswered, context) : undefined);
  }

  const implementation = {
    unary: (request: Request, context: HandlerContext) => answerOne([request], context),
    idempotentUnary: (request: Request, context: HandlerContext) => answerOne([request], context),
    async clientStream(requests: AsyncIterable<Request>, context: HandlerContext) {
      const all: Request[] = [];
      for await (const request of requests) all.push(request);
      return answerOne(all, context);
    },
    serverStream: (request: Request, context: HandlerContext) => answerAll(only(request), context),
    bidiStream: answerAll,
  };
  // The options take the place of the server's own, and say the same but for the registry.
  const jsonOptions = { registry, ignoreUnknownFields: false };
  return (router) => router.service(service, implementation as never, { jsonOptions });
}

async function* only<T>(one: T): AsyncGenerator<T> {
  yield one;
}

const asHeader = ([name, value]: [string, string]) => ({ name, value: [value] });

function setMetadata(definition: Definition | undefined, context: HandlerContext): void {
  for (const { name, value } of definition?.responseHeaders ?? [])
    for (const one of value) context.responseHeader.append(name, one);
  for (const { name, value } of definition?.responseTrailers ?? [])
    for (const one of value) context.responseTrailer.append(name, one);
}

/** Rejects as soon as the call is over, with what has ended it. */
async function delay(definition: Definition | undefined, { signal }: HandlerContext): Promise<void> {
  if (!definition?.responseDelayMs) return;
  await sleep(definition.responseDelayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}
