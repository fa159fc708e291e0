import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** The calls that are open on a connection. */
export interface OpenCalls {
  readonly count: number;
  /** When the last of them was over, or the connection began, by the clock of `performance`. */
  readonly quietSince: number;
}

/** Counts the calls of an HTTP/2 connection once for all who ask, since listeners are what a call that is reset costs most. */
export function countCalls(session: ServerHttp2Session, onClose: (stream: ServerHttp2Stream) => void): OpenCalls {
  const calls = { count: 0, quietSince: performance.now() };
  session.on("stream", (stream) => {
    calls.count += 1;
    stream.once("close", () => {
      calls.count -= 1;
      calls.quietSince = performance.now();
      onClose(stream);
    });
  });
  return calls;
}
