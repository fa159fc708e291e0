import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { ViolationsSchema } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CancelRunsRequestSchema } from "../../gen/reins/v1/run_service_pb.ts";
import { GetThreadStateRequestSchema } from "../../gen/reins/v1/thread_service_pb.ts";
import { createReinsClient, errorInfo, RunErrorDetailSchema } from "../../src/client/index.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { toConnectError } from "../../src/services/connect-errors.ts";
import { startTestServer, type TestServer } from "../support/net-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const threadId = randomUUID();
const createThread = "/reins.v1.ThreadService/CreateThread";

const failure = (call: Promise<unknown>): Promise<ConnectError> =>
  call.then(
    () => expect.fail("the call should have failed"),
    (error: unknown) => ConnectError.from(error),
  );

describe("an error that quotes much of its request", () => {
  const cancelRuns = "/reins.v1.RunService/CancelRuns";
  const runs = (runIds: string[]) => ({ target: { case: "runs" as const, value: { threadId, runIds } } });

  /** What HTTP/2 counts of headers (RFC 9113, section 6.5.2); clients on gRPC's C core take 8 kB for certain. */
  async function trailersOf(path: string, body: Uint8Array, type = "application/grpc") {
    const session = http2.connect(server.url, { settings: { maxHeaderListSize: 2 ** 24 } });
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": type });
    stream.end(encodeEnvelope(0, body));
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    session.destroy();
    const entries = Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string]);
    const size = entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    const error = findTrailerError(new Headers(entries.filter(([name]) => !name.startsWith(":"))));
    return { size, error: error! };
  }

  test.each(["grpc", "connect", "grpc-web"] as const)("lists the first of many violations: %s", async (protocol) => {
    const client = createReinsClient({ baseUrl: server.url, protocol });
    const error = await failure(client.runs.cancelRuns(runs(Array.from({ length: 1000 }, () => "x"))));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toMatch(/^runs\.run_ids.*; runs\.run_ids\[9\]: must be a valid UUID; .*; and 981 more\.$/);
    expect(errorInfo(error)).toMatchObject({ reason: "INVALID_FIELD", metadata: { more: "981" } });
    expect(error.findDetails(ViolationsSchema)[0]?.violations).toHaveLength(20);
  });

  test("fits among the trailers of gRPC when it lists violations", async () => {
    const ids = runs(Array.from({ length: 1000 }, () => "x"));
    const bytes = toBinary(CancelRunsRequestSchema, create(CancelRunsRequestSchema, ids));
    const { size, error } = await trailersOf(cancelRuns, bytes);
    expect([error.code, size < 8192]).toEqual([Code.InvalidArgument, true]);
  });

  test.each([
    ["x", 100],
    ["ü", 100],
    ["x", 10_000],
    ["💥", 10_000],
  ])("fits when it names a key of %s, %d of them", async (letter, times) => {
    const checkpoint = { checkpointNs: "", checkpointMap: { [letter.repeat(times)]: "x" } };
    const request = create(GetThreadStateRequestSchema, { threadId: "x", checkpoint });
    const path = "/reins.v1.ThreadService/GetThreadState";
    const { size, error } = await trailersOf(path, toBinary(GetThreadStateRequestSchema, request));
    expect([error.code, size < 8192]).toEqual([Code.InvalidArgument, true]);
    expect(errorInfo(error)?.reason).toBe("INVALID_FIELD");
    expect(error.rawMessage).toContain("thread_id: must be a valid UUID; checkpoint.checkpoint_map[");
  });

  test.each([
    ["a name of JSON", createThread, JSON.stringify({ ["x".repeat(40_000)]: 1 }), Code.InvalidArgument],
    ["a name in half", createThread, JSON.stringify({ ["💥".repeat(5_000)]: 1 }), Code.InvalidArgument],
    [
      "an id",
      "/reins.v1.ThreadService/GetThread",
      JSON.stringify({ threadId: "x".repeat(9000) }),
      Code.InvalidArgument,
    ],
  ])("fits when it names %s", async (_, path, json, code) => {
    const { size, error } = await trailersOf(path, new TextEncoder().encode(json), "application/grpc+json");
    expect([error.code, size < 8192]).toEqual([code, true]);
    expect(errorInfo(error)?.reason).toBe("INVALID_FIELD");
  });

  test("fits when it names a method or a type that nobody has", async () => {
    const path = `/reins.v1.ThreadService/${"x".repeat(9000)}`;
    for (const type of ["application/grpc", `application/grpc+${"x".repeat(5000)}`]) {
      const { size, error } = await trailersOf(path, new Uint8Array(), type);
      expect([error.code, size < 8192]).toEqual([Code.Unimplemented, true]);
      expect(error.rawMessage).toMatch(/^reins\.v1\.ThreadService has no method "x+… \(\d+ characters in all\)$/);
    }
  });

  test("fits when a handler quotes it", async () => {
    const own = await startTestServer({
      mapError: () =>
        toConnectError(
          new DomainError("CHECKPOINT_NOT_FOUND", `There is no ${"ä".repeat(5000)}.`, {
            metadata: { checkpoint_id: "x".repeat(5000), checkpoint_ns: "short" },
            run: { runId: threadId, threadId, status: "success" },
          }),
        ),
    });
    const clients = (["grpc", "connect"] as const).map((protocol) => createReinsClient({ baseUrl: own.url, protocol }));
    for (const { threads } of clients) {
      const error = await failure(threads.getThread({ threadId }));
      expect(error.code).toBe(Code.NotFound);
      expect(error.rawMessage).toMatch(/^There is no ä{50,400}… \(5013 characters in all\)$/);
      const { metadata } = errorInfo(error)!;
      expect(metadata.checkpoint_id).toMatch(/^x+… \(5000 characters in all\)$/);
      expect(metadata.checkpoint_ns).toBe("short");
      expect(error.findDetails(RunErrorDetailSchema)).toHaveLength(1);
    }
    await own.stop();
  });
});
