import { Code, createHandlerContext } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { abortCause, abortError, deadlineKey, onClientGone, shuttingDown } from "../../../src/server/client-gone.ts";

function createCall(timeoutMs?: number) {
  const [client, shutdown] = [new AbortController(), new AbortController()];
  const context = createHandlerContext({
    service: RunService,
    method: RunService.method.waitRun,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://localhost/",
    requestSignal: client.signal,
    shutdownSignal: shutdown.signal,
    timeoutMs,
  });
  context.values.set(deadlineKey, timeoutMs);
  return { client, shutdown, context };
}

describe("a call is aborted", () => {
  // Reasons that Node's HTTP/2 and HTTP/1.1 were seen to give for one and the same cause.
  test.each([undefined, new Error("write ECANCELED"), new DOMException("gone", "AbortError"), shuttingDown()])(
    "by its client, whatever the reason says (%s)",
    (reason) => {
      const { client, shutdown, context } = createCall(60_000);
      client.abort(reason);
      expect(abortCause(context, shutdown.signal)).toBe("client");
      expect(abortError(context, shutdown.signal).code).toBe(Code.Canceled);
    },
  );

  test("by the shutdown", () => {
    const { shutdown, context } = createCall(60_000);
    shutdown.abort(shuttingDown());
    expect(abortCause(context, shutdown.signal)).toBe("shutdown");
    expect(abortError(context, shutdown.signal).code).toBe(Code.Unavailable);
  });

  test("by a client that left before the shutdown", () => {
    const { client, shutdown, context } = createCall();
    client.abort();
    shutdown.abort(shuttingDown());
    expect(abortCause(context, shutdown.signal)).toBe("client");
  });

  test.each([
    [300, 0, "deadline"],
    [2000, 1600, "deadline"],
    [2000, 1400, "client"],
    [10_000, 9_100, "deadline"],
    [10_000, 8_900, "client"],
    [86_400_000, 86_398_500, "deadline"],
    [86_400_000, 86_397_500, "client"],
  ])("with a deadline of %i ms after %i ms by the %s", (deadlineMs, elapsedMs, cause) => {
    vi.useFakeTimers();
    try {
      const { client, shutdown, context } = createCall(deadlineMs);
      vi.setSystemTime(Date.now() + elapsedMs);
      client.abort();
      expect(abortCause(context, shutdown.signal)).toBe(cause);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("onClientGone", () => {
  test("calls back once for a client that leaves", () => {
    const { client, shutdown, context } = createCall();
    const gone = vi.fn();
    onClientGone(context, shutdown.signal, gone);
    expect(gone).not.toHaveBeenCalled();
    client.abort();
    shutdown.abort();
    expect(gone).toHaveBeenCalledOnce();
  });

  test("calls back at once for a client that has left", () => {
    const { client, shutdown, context } = createCall();
    client.abort();
    const gone = vi.fn();
    onClientGone(context, shutdown.signal, gone);
    expect(gone).toHaveBeenCalledOnce();
  });

  test("is silent about the shutdown, and once it is released", () => {
    const first = createCall();
    const gone = vi.fn();
    onClientGone(first.context, first.shutdown.signal, gone);
    first.shutdown.abort(shuttingDown());
    const second = createCall();
    onClientGone(second.context, second.shutdown.signal, gone)();
    second.context.abort();
    second.client.abort();
    expect(gone).not.toHaveBeenCalled();
  });
});
