import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import { createRegistry, type JsonValue } from "@bufbuild/protobuf";
import { ViolationsSchema } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { endStreamFromJson, errorFromJson } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  createGrpcJsClient,
  createReinsClient,
  errorInfo,
  errorReason,
  RunErrorDetailSchema,
  RunStatus,
  ThreadService,
} from "../../src/client/index.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

const readMaxBytes = 50_000;
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ limits: { readMaxBytes, writeMaxBytes: 90_000 } });
});
afterAll(() => server.stop());

const threadId = randomUUID();
const createThread = "/reins.v1.ThreadService/CreateThread";
const cancelRun = "/reins.v1.RunService/CancelRun";
const streamRun = "/reins.v1.RunService/StreamRun";

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  type = "application/json",
  headers: Record<string, string> = {},
) {
  return await fetch(server.url + path, { method: "POST", body, headers: { "content-type": type, ...headers } });
}

async function connectError(response: Response): Promise<ConnectError> {
  return errorFromJson((await response.json()) as JsonValue, undefined, new ConnectError("no error in the body"));
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  return await promise.then(
    () => expect.fail("the call should have failed"),
    (error: unknown) => ConnectError.from(error),
  );
}

/** Every error carries exactly one ErrorInfo of this server. */
function theInfo(error: ConnectError) {
  const infos = error.findDetails(ErrorInfoSchema);
  expect(infos).toHaveLength(1);
  expect(infos[0]?.domain).toBe("reins");
  return infos[0]!;
}

describe.each(["grpc", "connect", "grpc-web"] as const)("with %s", (protocol) => {
  const client = () => createReinsClient({ baseUrl: server.url, protocol });

  test("a domain error has its code, its reason and the run at fault", async () => {
    const runId = randomUUID();
    const error = await failure(client().runs.cancelRun({ threadId, runId }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe(`The run ${runId} has ended with success.`);
    expect(theInfo(error).reason).toBe("RUN_NOT_CANCELLABLE");
    expect(error.findDetails(RunErrorDetailSchema)).toMatchObject([{ runId, threadId, status: RunStatus.SUCCESS }]);
    expect(errorReason(error)).toBe("RUN_NOT_CANCELLABLE");
  });

  test("a bug leaves as a bare internal error with an id that is in the log", async () => {
    const create = { threadId, spec: { assistantId: "crash" } };
    const streaming = (async () => {
      for await (const _ of client().runs.streamRun({ create })) {
        // One event comes before the error.
      }
    })();
    for (const error of [await failure(streaming), await failure(client().runs.waitRun({ create }))]) {
      expect(error.code).toBe(Code.Internal);
      expect(JSON.stringify([error.rawMessage, error.details])).not.toContain("secret");
      const { reason, metadata } = theInfo(error);
      expect(reason).toBe("INTERNAL");
      expect(error.rawMessage).toContain(metadata.error_id);
      expect(server.logged).toContainEqual(
        expect.objectContaining({
          errorId: metadata.error_id,
          err: expect.objectContaining({ message: "the secret detail" }),
        }),
      );
    }
  });

  test("a violated rule names each field and what is allowed", async () => {
    const create = { threadId: "nonsense", ifNotExists: 9 as never, spec: { assistantId: "quick" } };
    const reading = (async () => {
      for await (const _ of client().runs.streamRun({ create })) {
        expect.fail("nothing should come");
      }
    })();
    for (const error of [await failure(reading), await failure(client().runs.waitRun({ create }))]) {
      expect(error.code).toBe(Code.InvalidArgument);
      expect(error.rawMessage).toBe(
        "create.thread_id: must be a valid UUID; " +
          "create.if_not_exists: must be one of IF_NOT_EXISTS_REJECT, IF_NOT_EXISTS_CREATE.",
      );
      expect(theInfo(error)).toMatchObject({ reason: "INVALID_FIELD" });
      expect(error.findDetails(ViolationsSchema)[0]?.violations).toHaveLength(2);
    }
  });

  test("a request over the limit is refused", async () => {
    const metadata = { text: "x".repeat(readMaxBytes) };
    const error = await failure(client().threads.createThread({ metadata }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.rawMessage).toMatch(/^The request has (50\d+|too many) bytes; at most 50000 are allowed\.$/);
    expect(theInfo(error)).toMatchObject({ reason: "REQUEST_TOO_LARGE", metadata: { limit: "50000" } });
  });

  test("a response over the limit is an error, not a cut stream", async () => {
    const reading = (async () => {
      for await (const _ of client().runs.streamRun({ create: { threadId, spec: { assistantId: "big" } } })) {
        // One event comes before the error.
      }
    })();
    const error = await failure(reading);
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(theInfo(error).reason).toBe("RESPONSE_TOO_LARGE");
  });
});

test("errorInfo reads errors of grpc-js", async () => {
  const client = createGrpcJsClient(ThreadService, new URL(server.url).host);
  try {
    const error: unknown = await client.getThread({ threadId }).catch((error) => error);
    expect(errorInfo(error)).toMatchObject({ reason: "THREAD_NOT_FOUND", metadata: { thread_id: threadId } });
    expect(errorReason(new Error("some other"))).toBeUndefined();
    expect(errorReason(undefined)).toBeUndefined();
  } finally {
    client.close();
  }
});

describe("JSON that does not fit", () => {
  test.each([
    [
      "an unknown enum value",
      '{"action":"rollbck"}',
      "INVALID_FIELD",
      /^action: "rollbck" is not a .*; allowed are CANCEL_ACTION_INTERRUPT, CANCEL_ACTION_ROLLBACK\.$/,
    ],
    [
      "a misspelt field",
      '{"waitt":true}',
      "INVALID_FIELD",
      /^waitt: there is no such field; there are thread_id, run_id, action, wait, /,
    ],
    ["a wrong type", '{"wait":"yes"}', "INVALID_FIELD", /^wait: expected boolean, got "yes"\.$/],
    [
      "a wrong duration",
      '{"waitTimeout":"5"}',
      "INVALID_FIELD",
      /^wait_timeout: "5" is not a google\.protobuf\.Duration\.$/,
    ],
    [
      "half an object",
      '{"wait":',
      "MALFORMED_REQUEST",
      /^The request is not the JSON of a reins\.v1\.CancelRunRequest: /,
    ],
    ["nothing", "", "MALFORMED_REQUEST", /^The request is not the JSON of a reins\.v1\.CancelRunRequest: /],
    ["an array", "[]", "MALFORMED_REQUEST", /^The request is not the JSON of a reins\.v1\.CancelRunRequest: /],
  ])("%s", async (_, body, reason, message) => {
    const response = await post(cancelRun, body);
    expect(response.status).toBe(400);
    const error = await connectError(response);
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toMatch(message);
    expect(theInfo(error).reason).toBe(reason);
  });

  test("an unknown enum value deep in a streaming request", async () => {
    const json = '{"create":{"spec":{"streamModes":["STREAM_MODE_VALUES","foo"]}}}';
    const body = encodeEnvelope(0, new TextEncoder().encode(json));
    const response = await post(streamRun, body, "application/connect+json");
    const { error } = endStreamFromJson((await response.bytes()).subarray(5));
    expect(error?.code).toBe(Code.InvalidArgument);
    expect(error?.rawMessage).toMatch(
      /^create\.spec\.stream_modes: "foo" is not a .*STREAM_MODE_VALUES, STREAM_MODE_UPDATES/,
    );
    expect(theInfo(error!)).toMatchObject({ reason: "INVALID_FIELD", metadata: { field: "create.spec.stream_modes" } });
  });
});

describe("frames that are broken", () => {
  const rubbish = new Uint8Array([0xff, 0xff, 0xff]);
  const cutFrame = new Uint8Array([0, 0, 0, 0, 9, 1]);
  const nothing = new Uint8Array();
  const twoFrames = new Uint8Array(10);

  test("a binary message", async () => {
    const error = await connectError(await post(cancelRun, rubbish, "application/proto"));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toMatch(/^The request is not a binary reins\.v1\.CancelRunRequest: /);
    expect(theInfo(error).reason).toBe("MALFORMED_REQUEST");
  });

  test.each([
    ["unary, rubbish in the frame", cancelRun, encodeEnvelope(0, rubbish), Code.InvalidArgument],
    ["unary, the frame cut off", cancelRun, cutFrame, Code.InvalidArgument],
    ["stream, rubbish in the frame", streamRun, encodeEnvelope(0, rubbish), Code.InvalidArgument],
    ["stream, the frame cut off", streamRun, cutFrame, Code.InvalidArgument],
    ["compressed without a name", streamRun, encodeEnvelope(1, rubbish), Code.Internal],
    ["unary, no frame", cancelRun, nothing, Code.Unimplemented],
    ["unary, two frames", cancelRun, twoFrames, Code.Unimplemented],
    ["stream, no frame", streamRun, nothing, Code.Unimplemented],
  ])("gRPC, %s", async (_, path, body, code) => {
    const response = await post(path, body, "application/grpc-web+proto");
    const bytes = await response.bytes();
    // The last frame of gRPC-Web holds the trailers.
    const trailers = new Headers(
      new TextDecoder()
        .decode(bytes.subarray(5))
        .trim()
        .split("\r\n")
        .map((line) => line.split(/:\s*/, 2) as [string, string]),
    );
    const error = findTrailerError(trailers);
    expect(error?.code).toBe(code);
    expect(theInfo(error!).reason).toBe("MALFORMED_REQUEST");
  });

  test("a compression that the server does not know", async () => {
    const error = await connectError(
      await post(createThread, "{}", "application/json", { "content-encoding": "gzip" }),
    );
    expect(error.code).toBe(Code.Unimplemented);
    expect(theInfo(error).reason).toBe("UNSUPPORTED_COMPRESSION");
  });

  test("a deadline that is no number", async () => {
    const error = await connectError(
      await post(createThread, "{}", "application/json", { "connect-timeout-ms": "soon" }),
    );
    expect(error.code).toBe(Code.InvalidArgument);
    expect(theInfo(error).reason).toBe("MALFORMED_REQUEST");
  });
});

describe("a request that suits no RPC", () => {
  test("another content type", async () => {
    const response = await post(createThread, "{}", "text/plain");
    expect(response.status).toBe(415);
    expect(response.headers.get("accept-post")).toContain("application/json");
    const error = await connectError(response);
    expect(error.rawMessage).toMatch(
      /^reins\.v1\.ThreadService\/CreateThread does not take the content type "text\/plain"/,
    );
    expect(theInfo(error).reason).toBe("WRONG_CONTENT_TYPE");
  });

  test.each([
    ["application/json", 400],
    ["application/grpc", 200],
    ["application/grpc-web", 200],
  ])("no body at all, over HTTP/2: %s", async (contentType, status) => {
    const session = http2.connect(server.url);
    const headers = { ":method": "POST", ":path": createThread, "content-type": contentType };
    // Its end is a frame of its own, which is read together with the headers.
    const call = session.request(headers, { endStream: false }).end();
    const [answer] = await once(call, "response");
    expect(answer[":status"]).toBe(status);
    call.resume();
    await once(call, "close");
    session.close();
  });

  test("another HTTP method", async () => {
    const response = await fetch(server.url + createThread);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    expect(theInfo(await connectError(response)).reason).toBe("WRONG_HTTP_METHOD");
  });

  test("a method that the service does not have", async () => {
    const response = await post("/reins.v1.ThreadService/Foo", "{}");
    expect(response.status).toBe(404);
    const error = await connectError(response);
    expect(error.code).toBe(Code.Unimplemented);
    expect(error.rawMessage).toMatch(/^reins\.v1\.ThreadService has no method "Foo"; it has CreateThread, GetThread,/);
    expect(theInfo(error).reason).toBe("UNKNOWN_METHOD");
  });

  test("a service that is not there", async () => {
    const error = await connectError(await post("/reins.v1.NoService/Foo", "{}"));
    expect(error.rawMessage).toMatch(
      /^There is no service "reins\.v1\.NoService"; there are reins\.v1\.ThreadService, /,
    );
    expect(theInfo(error).reason).toBe("UNKNOWN_METHOD");
  });

  test("gRPC without an RPC gets a gRPC status", async () => {
    const response = await post("/no.Service/Foo", "", "application/grpc-web+proto");
    expect(response.status).toBe(200);
    expect(findTrailerError(response.headers)?.code).toBe(Code.Unimplemented);
  });

  test("a path that leads nowhere", async () => {
    const response = await fetch(`${server.url}/nowhere`);
    expect(response.status).toBe(404);
    expect(theInfo(await connectError(response)).reason).toBe("UNKNOWN_PATH");
  });

  test("both directions over HTTP/1.1", async () => {
    const response = await post(`/${ServerReflection.typeName}/ServerReflectionInfo`, "", "application/grpc-web+proto");
    expect(findTrailerError(response.headers)?.rawMessage).toContain("takes HTTP/2");
  });
});

describe("the request id", () => {
  test("is taken, echoed and logged with the call", async () => {
    const response = await post(createThread, "{}", "application/json", { "x-request-id": "order-7/a" });
    expect(response.headers.get("x-request-id")).toBe("order-7/a");
    expect(server.logged).toContainEqual(
      expect.objectContaining({
        msg: "call",
        method: "reins.v1.ThreadService/CreateThread",
        protocol: "connect",
        code: "ok",
        ms: expect.any(Number),
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        requestId: "order-7/a",
      }),
    );
  });

  test("is made when none or no sane one is given", async () => {
    for (const given of ["", "a b", "x".repeat(200)]) {
      const response = await post(createThread, "{", "application/json", given ? { "x-request-id": given } : {});
      const made = response.headers.get("x-request-id");
      expect(made).toMatch(/^[0-9a-f-]{36}$/);
      expect(server.logged).toContainEqual(
        expect.objectContaining({ msg: "call", code: "invalid_argument", requestId: made }),
      );
    }
  });

  test("goes back with streams and refusals too", async () => {
    let seen: string | null = null;
    const client = createReinsClient({ baseUrl: server.url });
    const create = { threadId, spec: { assistantId: "quick" } };
    for await (const _ of client.runs.streamRun(
      { create },
      { onHeader: (header) => (seen = header.get("x-request-id")) },
    )) {
      // The header is what counts.
    }
    expect(seen).toMatch(/^[0-9a-f-]{36}$/);
    expect((await fetch(`${server.url}/nowhere`)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test("error details can be told apart by a registry", async () => {
  const error = await failure(createReinsClient({ baseUrl: server.url }).runs.cancelRun({ threadId, runId: threadId }));
  const details = error.findDetails(createRegistry(ErrorInfoSchema, RunErrorDetailSchema));
  expect(details.map((detail) => detail.$typeName)).toEqual(["google.rpc.ErrorInfo", "reins.v1.RunErrorDetail"]);
});
