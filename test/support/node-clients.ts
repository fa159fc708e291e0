import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  createGrpcJsClient,
  createReinsClient,
  errorReason,
  OnDisconnect,
  type Run,
  RunService,
  RunStatus,
  type StreamRunResponse,
  type Thread,
  ThreadService,
  until,
} from "../../src/client/index.ts";
import { createReinsWebClient } from "../../src/client/web.ts";
import type { InteropTarget, StartTarget } from "./interop-target.ts";

interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}
interface CreateAndWatch {
  create: { threadId: string; runId: string; spec: InteropTarget["quick"] };
  onDisconnect?: OnDisconnect;
}

/** What the clients of the different libraries have in common. */
interface AnyClient {
  readonly threads: {
    createThread(request: { threadId: string }): Promise<{ thread?: Thread }>;
    getThread(request: { threadId: string }): Promise<{ thread?: Thread }>;
  };
  readonly runs: {
    getRun(request: { threadId: string; runId: string }): Promise<{ run?: Run }>;
    waitRun(request: CreateAndWatch, options?: CallOptions): Promise<{ run?: Run }>;
    streamRun(request: CreateAndWatch, options?: CallOptions): AsyncIterable<StreamRunResponse>;
  };
  close?(): void;
}

const clients: Record<string, (url: string) => AnyClient> = {
  "grpc-js": (url) => {
    const [runs, threads] = [RunService, ThreadService].map((service) =>
      createGrpcJsClient(service, new URL(url).host),
    );
    const close = () => [runs, threads].forEach((client) => void client?.close());
    return { runs, threads, close } as unknown as AnyClient;
  },
  "connect-node, gRPC": (baseUrl) => createReinsClient({ baseUrl }),
  "connect-node, gRPC with JSON": (baseUrl) => createReinsClient({ baseUrl, useBinaryFormat: false }),
  "connect-node, Connect over HTTP/2": (baseUrl) => createReinsClient({ baseUrl, protocol: "connect" }),
  "connect-node, Connect over HTTP/1.1": (baseUrl) =>
    createReinsClient({ baseUrl, protocol: "connect", httpVersion: "1.1" }),
  "connect-node, gRPC-Web over HTTP/2": (baseUrl) => createReinsClient({ baseUrl, protocol: "grpc-web" }),
  "connect-node, gRPC-Web over HTTP/1.1": (baseUrl) =>
    createReinsClient({ baseUrl, protocol: "grpc-web", httpVersion: "1.1" }),
  "connect-web, Connect": (baseUrl) => createReinsWebClient({ baseUrl }),
  "connect-web, gRPC-Web": (baseUrl) => createReinsWebClient({ baseUrl, protocol: "grpc-web" }),
};

/** Tests of the libraries that run inside Node, for whatever server `start` starts. */
export function describeNodeClients(start: StartTarget): void {
  let target: InteropTarget;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.stop());

  describe.each(Object.entries(clients))("%s", (_, connect) => {
    let client: AnyClient;
    beforeAll(() => {
      client = connect(target.url);
    });
    afterAll(() => client.close?.());

    const newThread = async () => {
      const threadId = randomUUID();
      await client.threads.createThread({ threadId });
      return threadId;
    };
    const newRun = async (spec: InteropTarget["quick"]) => ({ threadId: await newThread(), runId: randomUUID(), spec });

    test("calls", async () => {
      const threadId = await newThread();
      const { thread } = await client.threads.getThread({ threadId });
      expect(thread?.threadId).toBe(threadId);
    });

    test("reads the reason of an error", async () => {
      const error: unknown = await client.threads.getThread({ threadId: randomUUID() }).catch((error) => error);
      expect(error).toMatchObject({ code: 5 });
      expect(errorReason(error)).toBe("THREAD_NOT_FOUND");
    });

    test("is told which field is wrong", async () => {
      const error: unknown = await client.threads.getThread({ threadId: "nonsense" }).catch((error) => error);
      expect(error).toMatchObject({ code: 3, message: expect.stringContaining("thread_id: must be a valid UUID") });
      expect(errorReason(error)).toBe("INVALID_FIELD");
    });

    test("waits for a run", async () => {
      const { run } = await client.runs.waitRun({ create: await newRun(target.quick) });
      expect(run?.status).toBe(RunStatus.SUCCESS);
    });

    test("streams a run to its end", async () => {
      const create = await newRun(target.quick);
      const events = [];
      for await (const message of until((signal) => client.runs.streamRun({ create }, { signal }))) {
        events.push(...message.events);
      }
      expect(events.at(0)?.event).toMatchObject({ case: "created", value: { runId: create.runId } });
      expect(events.at(-1)?.event).toMatchObject({ case: "ended", value: { status: RunStatus.SUCCESS } });
    });

    test("cancels the run by leaving its stream, if it says so", async () => {
      const create = await newRun(target.endless);
      const request = { create, onDisconnect: OnDisconnect.CANCEL };
      for await (const _ of until((signal) => client.runs.streamRun(request, { signal }))) {
        break;
      }
      const status = async () => (await client.runs.getRun(create)).run?.status;
      await expect.poll(status, { timeout: 20_000 }).toBe(RunStatus.INTERRUPTED);
    });

    test("keeps the run when the deadline is over", async () => {
      const create = await newRun(target.endless);
      const request = { create, onDisconnect: OnDisconnect.CANCEL };
      const waiting = client.runs.waitRun(request, { timeoutMs: 1000 });
      await expect(waiting).rejects.toMatchObject({ code: 4 });
      // The call may have been over before its run was stored.
      const { run } = await vi.waitFor(() => client.runs.getRun(create), { timeout: 10_000 });
      expect([RunStatus.PENDING, RunStatus.RUNNING]).toContain(run?.status);
      expect(run?.cancellation).toBeUndefined();
    });
  });
}
