import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import type { NodeHandlerFn } from "./node-messages.ts";
import { startInTurn } from "./start-in-turn.ts";

export interface OnePortOptions {
  readonly handler: NodeHandlerFn;
  readonly http1: http.ServerOptions;
  readonly http2: http2.ServerOptions;
  /** How long a new connection may take to show which protocol it speaks. */
  readonly sniffTimeoutMs: number;
  /** Sees each connection before its first byte. */
  readonly onConnection: (socket: Socket) => void;
}

export interface OnePort {
  /** The listener; it alone is told to listen and to close. */
  readonly http1: http.Server;
  /** Never listens; is handed the connections that speak HTTP/2. */
  readonly http2: http2.Http2Server;
}

/** What a client with prior knowledge of HTTP/2 sends first (RFC 9113, section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Serves HTTP/1.1 and cleartext HTTP/2 on one port. The http.Server listens, as it keeps its timeouts only when it does,
 * and each connection goes to the server of the protocol that its first bytes show.
 */
export function createOnePort(options: OnePortOptions): OnePort {
  const http1 = http.createServer(options.http1, options.handler as http.RequestListener);
  const h2 = http2.createServer(options.http2, options.handler as never);
  startInTurn(h2);
  const [serveHttp1] = http1.listeners("connection");
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    options.onConnection(socket);
    sniff(socket, options.sniffTimeoutMs, (isHttp2) => {
      if (isHttp2) {
        // An http.Server's sockets stay half open when the client closes; an HTTP/2 session would then never learn of it.
        socket.allowHalfOpen = false;
        h2.emit("connection", socket);
      } else {
        serveHttp1?.call(http1, socket);
      }
    });
  });
  return { http1, http2: h2 };
}

/** Reads just enough of a connection to tell its protocol, and puts it back. */
function sniff(socket: Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0);
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", read);
    socket.off("error", drop);
    socket.off("end", drop);
    socket.off("close", stop);
  };
  const drop = () => {
    stop();
    // Without a listener, an error that is still on its way would end the process.
    socket.on("error", () => {});
    socket.destroy();
  };
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      return;
    }
    head = Buffer.concat([head, chunk]);
    const length = Math.min(head.length, preface.length);
    const isHttp2 = head.compare(preface, 0, length, 0, length) === 0;
    if (isHttp2 && length < preface.length) {
      return;
    }
    stop();
    socket.unshift(head);
    decide(isHttp2);
  };
  const timer = setTimeout(drop, timeoutMs);
  socket.on("readable", read);
  socket.on("error", drop);
  socket.on("end", drop);
  socket.on("close", stop);
}
