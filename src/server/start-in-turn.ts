import type { Http2ServerRequest, ServerHttp2Session } from "node:http2";
import type { NodeHandlerFn, NodeServerRequest } from "./node-handler.ts";

/** Calls of one connection that are begun before others are heard again. */
const atOnce = 8;

interface Turn {
  begun: number;
  readonly waiting: (() => boolean)[];
}

/**
 * Begins the calls of one HTTP/2 connection a few at a time, so that one that sends thousands in a moment does not hold up the
 * others. A call that its client has reset by then is not begun at all.
 */
export function startInTurn(handler: NodeHandlerFn): NodeHandlerFn {
  const turns = new WeakMap<ServerHttp2Session, Turn>();

  return (request, response) => {
    const session = isHttp2(request) ? request.stream.session : undefined;
    if (!session) return handler(request, response);
    const turn = turns.get(session as ServerHttp2Session) ?? begin(session as ServerHttp2Session);
    const start = () => {
      const { stream } = request as Http2ServerRequest;
      if (stream.destroyed || stream.aborted) return false;
      handler(request, response);
      return true;
    };
    if (turn.begun < atOnce) {
      turn.begun += 1;
      start();
    } else turn.waiting.push(start);
  };

  function begin(session: ServerHttp2Session): Turn {
    const turn: Turn = { begun: 0, waiting: [] };
    turns.set(session, turn);
    setImmediate(next, session, turn);
    return turn;
  }

  function next(session: ServerHttp2Session, turn: Turn): void {
    turn.begun = 0;
    if (turn.waiting.length === 0) {
      turns.delete(session);
      return;
    }
    for (let begun = 0; begun < atOnce && turn.waiting.length > 0; ) {
      if (turn.waiting.shift()!()) begun += 1;
    }
    turn.begun = atOnce;
    setImmediate(next, session, turn);
  }
}

const isHttp2 = (request: NodeServerRequest): request is Http2ServerRequest => "stream" in request;
