import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

export interface GrpcJsCallOptions {
  readonly signal?: AbortSignal;
  /** The server ends the call when this time is over; that is not a disconnect. */
  readonly timeoutMs?: number;
  readonly metadata?: grpc.Metadata;
}

type AnyMessage = MessageInitShape<DescMessage>;

type Call<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: MessageInitShape<M["input"]>, options?: GrpcJsCallOptions) => Promise<MessageShape<M["output"]>>
  : (request: MessageInitShape<M["input"]>, options?: GrpcJsCallOptions) => AsyncGenerator<MessageShape<M["output"]>>;

/** A service's methods by their names in TypeScript. Streams are cancelled when their reader leaves the loop. */
export type GrpcJsClient<S extends DescService> = { readonly [K in keyof S["method"]]: Call<S["method"][K]> } & {
  close(): void;
};

/**
 * Makes a typed client of a service on grpc-js, for programs that have settled on that library. Errors are grpc-js' own;
 * `errorReason` reads their reason.
 *
 * @param address host and port, for example "127.0.0.1:2024".
 * @param credentials clear text unless said otherwise; `grpc.credentials.createSsl(ca, key, cert)` for TLS, with the client's own
 * certificate where it has one.
 */
export function createGrpcJsClient<S extends DescService>(
  service: S,
  address: string,
  credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
  channelOptions: grpc.ChannelOptions = {},
): GrpcJsClient<S> {
  const client = new grpc.Client(address, credentials, channelOptions);
  const calls: Record<string, unknown> = { close: () => client.close() };
  for (const method of service.methods) {
    if (method.methodKind === "unary" || method.methodKind === "server_streaming") {
      const start = method.methodKind === "unary" ? unary : stream;
      calls[method.localName] = (request: AnyMessage, options?: GrpcJsCallOptions) => start(method, request, options);
    }
  }
  return calls as GrpcJsClient<S>;

  async function unary(method: DescMethod, request: AnyMessage, options: GrpcJsCallOptions = {}) {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const call = client.makeUnaryRequest(
      ...wire(method, request, options),
      (error: grpc.ServiceError | null, answer?: unknown) => (error ? reject(error) : resolve(answer)),
    );
    const release = cancelOn(options.signal, call);
    try {
      return await promise;
    } finally {
      release();
    }
  }

  async function* stream(method: DescMethod, request: AnyMessage, options: GrpcJsCallOptions = {}) {
    const call = client.makeServerStreamRequest(...wire(method, request, options));
    const release = cancelOn(options.signal, call);
    try {
      yield* call;
    } finally {
      release();
      // Without a listener the error of the cancelled call would end the process.
      call.on("error", () => {});
      call.cancel();
    }
  }
}

/** What both kinds of calls begin with: path, encoder, decoder, request, metadata, options. */
function wire(method: DescMethod, request: AnyMessage, { metadata, timeoutMs }: GrpcJsCallOptions) {
  const encode = (desc: DescMessage) => (message: AnyMessage) => Buffer.from(toBinary(desc, create(desc, message)));
  return [
    `/${method.parent.typeName}/${method.name}`,
    encode(method.input),
    (bytes: Buffer): unknown => fromBinary(method.output, bytes),
    request,
    metadata ?? new grpc.Metadata(),
    timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
  ] as const;
}

function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  const cancel = () => call.cancel();
  if (signal?.aborted) {
    cancel();
  }
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
}
