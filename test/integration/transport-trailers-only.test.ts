import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createConnectRouter } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import * as grpc from "@grpc/grpc-js";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamRunRequestSchema } from "../../gen/reins/v1/run_service_pb.ts";
import { CreateThreadRequestSchema, GetThreadRequestSchema } from "../../gen/reins/v1/thread_service_pb.ts";
import { openAccess } from "../../src/access/access.ts";
import { errorReason } from "../../src/client/index.ts";
import { createCors } from "../../src/server/cors.ts";
import { createNodeHandler } from "../../src/server/node-handler.ts";
import { createRouterOptions } from "../../src/server/router-options.ts";
import { lines, startTestServer, type TestServer } from "../support/net-server.ts";

const readMaxBytes = 50_000;
describe.each(lines)("over %s", (line) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ line, limits: { readMaxBytes } });
  });
  afterAll(() => server.stop());

  const threads = "/reins.v1.ThreadService/";
  const streamRun = "/reins.v1.RunService/StreamRun";
  const message = {
    createThread: encodeEnvelope(0, toBinary(CreateThreadRequestSchema, create(CreateThreadRequestSchema))),
    big: encodeEnvelope(0, new Uint8Array(4_000_000)),
    unknownThread: encodeEnvelope(
      0,
      toBinary(GetThreadRequestSchema, create(GetThreadRequestSchema, { threadId: randomUUID() })),
    ),
    withoutCreate: encodeEnvelope(0, toBinary(StreamRunRequestSchema, create(StreamRunRequestSchema))),
    rubbish: encodeEnvelope(0, new Uint8Array([0xff, 0xff, 0xff])),
  };

  interface Refused {
    readonly path: string;
    readonly headers?: http2.OutgoingHttpHeaders;
    readonly body?: Uint8Array;
    readonly code: Code;
    readonly reason: string;
  }

  const refusals: Record<string, Refused> = {
    "an unknown method": { path: `${threads}Foo`, code: Code.Unimplemented, reason: "UNKNOWN_METHOD" },
    "an unknown service": { path: "/no.Service/Foo", code: Code.Unimplemented, reason: "UNKNOWN_METHOD" },
    "an unknown method, called with much": {
      path: `${threads}Foo`,
      body: message.big,
      code: Code.Unimplemented,
      reason: "UNKNOWN_METHOD",
    },
    "a foreign host": {
      path: `${threads}CreateThread`,
      headers: { ":authority": "evil.example:80" },
      code: Code.PermissionDenied,
      reason: "HOST_NOT_ALLOWED",
    },
    "a foreign origin": {
      path: `${threads}CreateThread`,
      headers: { origin: "https://evil.example" },
      code: Code.PermissionDenied,
      reason: "ORIGIN_NOT_ALLOWED",
    },
    "an encoding that is not served": {
      path: `${threads}CreateThread`,
      headers: { "content-type": "application/grpc+thrift" },
      code: Code.InvalidArgument,
      reason: "WRONG_CONTENT_TYPE",
    },
    "another HTTP method": {
      path: `${threads}CreateThread`,
      headers: { ":method": "PUT" },
      code: Code.InvalidArgument,
      reason: "WRONG_HTTP_METHOD",
    },
    "an unknown compression": {
      path: `${threads}CreateThread`,
      headers: { "grpc-encoding": "brotli" },
      code: Code.Unimplemented,
      reason: "UNSUPPORTED_COMPRESSION",
    },
    "a deadline that is no time": {
      path: `${threads}CreateThread`,
      headers: { "grpc-timeout": "soon" },
      code: Code.InvalidArgument,
      reason: "MALFORMED_REQUEST",
    },
    "a payload that is too large": {
      path: `${threads}CreateThread`,
      body: message.big,
      code: Code.ResourceExhausted,
      reason: "REQUEST_TOO_LARGE",
    },
    "a payload that is too large, of a stream": {
      path: streamRun,
      body: message.big,
      code: Code.ResourceExhausted,
      reason: "REQUEST_TOO_LARGE",
    },
    "bytes that are no message": {
      path: `${threads}CreateThread`,
      body: message.rubbish,
      code: Code.InvalidArgument,
      reason: "MALFORMED_REQUEST",
    },
    "a request that breaks a rule": {
      path: streamRun,
      body: message.withoutCreate,
      code: Code.InvalidArgument,
      reason: "INVALID_FIELD",
    },
    "what the handler itself refuses": {
      path: `${threads}GetThread`,
      body: message.unknownThread,
      code: Code.NotFound,
      reason: "THREAD_NOT_FOUND",
    },
  };

  /** Calls as gRPC by hand; answers the frames of the answer. */
  async function call(url: string, path: string, headers: http2.OutgoingHttpHeaders = {}, body: Uint8Array) {
    const session = http2.connect(url);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    // A server that has refused the call need not take the rest of it.
    stream.on("error", () => {});
    stream.end(body);
    const frames: string[] = [];
    stream.on("data", (data: Buffer) => frames.push(`DATA ${data.length}`));
    stream.on("trailers", () => frames.push("HEADERS"));
    const [{ ":status": status, ...answer }, flags] = (await once(stream, "response")) as [
      http2.IncomingHttpHeaders,
      number,
    ];
    if (!stream.closed) {
      stream.resume();
      await once(stream, "close");
    }
    session.destroy();
    const error = findTrailerError(new Headers(Object.entries(answer) as [string, string][]));
    return { status, endsStream: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0, frames, error };
  }

  describe("a gRPC call without an answer ends with its only HEADERS frame", () => {
    it.each(Object.entries(refusals))("%s", async (_, { path, headers, body, code, reason }) => {
      const { error, ...answer } = await call(server.url, path, headers, body ?? message.createThread);
      expect(answer).toEqual({ status: 200, endsStream: true, frames: [] });
      expect({ code: error?.code, reason: errorReason(error) }).toEqual({ code, reason });
    });

    // A call that comes behind the GOAWAY of a drain is refused by its frame number alone; this one comes just before.
    it("a server that drains", async () => {
      const log = pino({ level: "silent" });
      const router = createConnectRouter(
        createRouterOptions({
          readMaxBytes,
          writeMaxBytes: readMaxBytes,
          mapError: () => undefined,
          shutdownSignal: new AbortController().signal,
          isDraining: () => true,
          log,
        }),
      );
      server.services.routes(router, new AbortController().signal);
      const draining = http2.createServer(
        createNodeHandler({
          handlers: router.handlers,
          isAllowedHost: () => true,
          cors: createCors({ origins: [] }),
          access: openAccess,
          isTls: false,
          mapError: () => undefined,
          fallback: undefined,
          isStarting: false,
          isDraining: () => true,
          large: undefined,
          readMaxBytes,
          bodyTimeoutMs: 60_000,
          log,
        }) as never,
      );
      await once(draining.listen(0, "127.0.0.1"), "listening");
      const url = `http://127.0.0.1:${(draining.address() as AddressInfo).port}`;
      const { error, ...answer } = await call(url, `${threads}CreateThread`, {}, message.createThread);
      await new Promise((resolve) => draining.close(resolve));
      expect(answer).toEqual({ status: 200, endsStream: true, frames: [] });
      expect({ code: error?.code, reason: errorReason(error) }).toEqual({
        code: Code.Unavailable,
        reason: "SHUTTING_DOWN",
      });
    });
  });

  describe("grpc-js gets the status of a refused call", () => {
    it.each(
      Object.entries({
        "an unknown method": [`${threads}Foo`, {}, grpc.status.UNIMPLEMENTED],
        "an unknown service": ["/no.Service/Foo", {}, grpc.status.UNIMPLEMENTED],
        "a foreign host": [
          `${threads}CreateThread`,
          { "grpc.default_authority": "evil.example" },
          grpc.status.PERMISSION_DENIED,
        ],
      } as const),
    )("%s", async (_, [path, options, code]) => {
      // The certificate does not bear the foreign name.
      const credentials = server.grpc.credentials({ checkServerIdentity: () => undefined });
      const client = new grpc.Client(server.grpc.address, credentials, options);
      const same = (bytes: Buffer) => bytes;
      const error = await new Promise((resolve) =>
        client.makeUnaryRequest(path, same, same, Buffer.alloc(4_000_000), resolve),
      );
      client.close();
      expect(error).toMatchObject({ code });
    });
  });
});
