import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** Calls of one connection that are begun before others are heard again. */
const atOnce = 8;

type Start = () => boolean;

/**
 * Begins the calls of one HTTP/2 connection a few at a time, so that one that sends thousands in a moment does not hold up the
 * others, and none before what came with it has been read: of a call that its client resets at once, nothing is made at all.
 */
export function startInTurn(server: Http2Server): void {
  const turns = new WeakMap<ServerHttp2Session, Start[]>();
  // Node's own, which makes a request and an answer of a stream and hands them to the handler.
  const [begin] = server.listeners("stream");
  server.removeAllListeners("stream");
  server.on("stream", (stream: ServerHttp2Stream, ...rest: unknown[]) => {
    // The request has a listener of its own; without any, an error would end the process.
    stream.on("error", () => {});
    const session = stream.session as ServerHttp2Session | undefined;
    if (!session) return;
    let waiting = turns.get(session);
    if (!waiting) {
      waiting = [];
      turns.set(session, waiting);
      setImmediate(next, session, waiting);
    }
    waiting.push(() => {
      if (stream.destroyed || stream.aborted) return false;
      const hasEnded = stream.readableEnded;
      begin!.call(server, stream, ...rest);
      // The request that is made of it would wait for an end that has been told already, as of one without a body.
      if (hasEnded) stream.emit("end");
      return true;
    });
  });

  function next(session: ServerHttp2Session, waiting: Start[]): void {
    let place = 0;
    for (let begun = 0; begun < atOnce && place < waiting.length; place += 1) {
      if (waiting[place]!()) begun += 1;
    }
    waiting.splice(0, place);
    if (waiting.length === 0) turns.delete(session);
    else setImmediate(next, session, waiting);
  }
}
