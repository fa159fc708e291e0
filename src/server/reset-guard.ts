import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";

export interface ResetLimits {
  /** Calls that the client of one HTTP/2 connection may reset at once. */
  readonly resetBurst: number;
  /** How many more it may reset for each second that goes by. */
  readonly resetsPerSecond: number;
}

/** The time that a client has to read why its connection ends, in ms. */
const lingerMs = 500;

/** Resets that are read before others are heard again. */
const atOnce = 32;

/** How much longer a connection that resets is left alone than reading its resets took. */
const pauseFactor = 4;
const longestPauseMs = 100;

/**
 * Closes a connection that resets calls faster than is good (the "rapid reset" attack, CVE-2023-44487), with
 * ENHANCE_YOUR_CALM. A client that cancels a thousand calls at once is no attacker; its resets are read a few at a time, so
 * that others are served meanwhile. Node's own guard counts alike, but tells the client of an internal error. Counting goes on
 * while a burst is read, so that a slow machine is guarded as well. Give each call that is over to the function returned.
 */
export function guardResets(
  session: ServerHttp2Session,
  { resetBurst, resetsPerSecond }: ResetLimits,
  onExcess: () => void,
): (stream: ServerHttp2Stream) => void {
  const reading = readingOf(session);
  let left = resetBurst;
  let countedAt = performance.now();
  let inTurn = 0;
  let turnBegan = 0;
  let pause: NodeJS.Timeout | undefined;
  let end: NodeJS.Timeout | undefined;
  session.once("close", () => {
    clearTimeout(pause);
    clearTimeout(end);
  });

  function count(): void {
    const now = performance.now();
    left = Math.min(resetBurst, left + ((now - countedAt) / 1000) * resetsPerSecond) - 1;
    countedAt = now;
    inTurn += 1;
    if (inTurn === 1) {
      turnBegan = now;
      setImmediate(endTurn);
    }
    if (inTurn === atOnce) reading.stop();
    if (left < 0) close();
  }

  function endTurn(): void {
    if (inTurn >= atOnce && !end && !session.destroyed) {
      const ms = Math.min((performance.now() - turnBegan) * pauseFactor, longestPauseMs);
      pause = setTimeout(() => end || reading.start(), ms);
    }
    inTurn = 0;
  }

  function close(): void {
    if (end || session.destroyed) return;
    onExcess();
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // Nothing more is read; cut off at once, the client would often not get to read why.
    reading.stop();
    end = setTimeout(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM), lingerMs).unref();
  }

  // At the close, since a call may be reset before it is told of here; a reset may also claim to be no error.
  return (stream) => {
    if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) count();
  };
}

/** A session reads its socket's handle by itself and has no way to pause; the handle, which Node does not document, has one. */
function readingOf(session: ServerHttp2Session): { stop(): void; start(): void } {
  const handle = () => (session.socket as { _handle?: { readStop?(): void; readStart?(): void } } | undefined)?._handle;
  return { stop: () => handle()?.readStop?.(), start: () => handle()?.readStart?.() };
}
