import { constants, type ServerHttp2Session } from "node:http2";

export interface ResetLimits {
  /** Calls that the client of one HTTP/2 connection may reset at once. */
  readonly resetBurst: number;
  /** How many more it may reset for each second that goes by. */
  readonly resetsPerSecond: number;
}

/** The time that a client has to read why its connection ends, in ms. */
const lingerMs = 500;

/**
 * Closes a connection that resets calls faster than is good (the "rapid reset" attack, CVE-2023-44487), with
 * ENHANCE_YOUR_CALM. A client that cancels a thousand calls at once is no attacker. Node's own guard counts alike, but tells
 * the client of an internal error. Counting goes on while a burst is read, so that a slow machine is guarded as well.
 */
export function guardResets(
  session: ServerHttp2Session,
  { resetBurst, resetsPerSecond }: ResetLimits,
  onExcess: () => void,
): void {
  let left = resetBurst;
  let countedAt = performance.now();
  let end: NodeJS.Timeout | undefined;

  function count(): void {
    const now = performance.now();
    left = Math.min(resetBurst, left + ((now - countedAt) / 1000) * resetsPerSecond) - 1;
    countedAt = now;
    if (left >= 0 || end || session.destroyed) return;
    onExcess();
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // Nothing more is begun after a GOAWAY; cut off at once, the client would often not get to read it.
    end = setTimeout(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM), lingerMs).unref();
  }

  session.on("stream", (stream) => {
    // At the close, since a call may be reset before it is told of here; a reset may also claim to be no error.
    stream.once("close", () => {
      if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) count();
    });
  });
  session.once("close", () => clearTimeout(end));
}
