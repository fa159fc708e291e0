import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { Server, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { plainHeaders } from "./answer-headers.ts";
import type { NodeHandlerFn } from "./node-messages.ts";
import { discard, sniff } from "./sniff.ts";
import { startInTurn } from "./start-in-turn.ts";
import type { TlsContext } from "./tls-files.ts";

export interface OnePortOptions {
  readonly handler: NodeHandlerFn;
  readonly http1: http.ServerOptions;
  readonly http2: http2.ServerOptions;
  /** How long a new connection may take to show which protocol it speaks, and to agree on keys. */
  readonly sniffTimeoutMs: number;
  /** With it the port speaks TLS, and nothing else. */
  readonly tls?: TlsContext | undefined;
  /** Sees each connection before its first byte. */
  readonly onConnection: (socket: Socket) => void;
  /** Is told of each connection whose client shows a certificate that is not good: it is ended. */
  readonly onBadCertificate: (socket: Socket, reason: string) => void;
}

export interface OnePort {
  /** The listener; it alone is told to listen and to close. */
  readonly http1: http.Server | https.Server;
  /** Never listens; is handed the connections that speak HTTP/2. */
  readonly http2: http2.Http2Server;
  /** For connections to come; those that there are keep what they have. */
  setTls(context: TlsContext): void;
  /** Ends the connections that have said nothing yet. */
  dropSilent(): void;
}

/** What a client with prior knowledge of HTTP/2 sends first (RFC 9113, section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Serves HTTP/1.1 and HTTP/2 on one port, with or without TLS. The http.Server listens, as it keeps its timeouts only when it does,
 * and each connection goes to the server of the protocol that its first bytes show.
 */
export function createOnePort(options: OnePortOptions): OnePort {
  const { sniffTimeoutMs: timeoutMs, tls } = options;
  const h2 = http2.createServer(options.http2, options.handler as never);
  startInTurn(h2);
  const silent = new Set<Socket>();
  const listener = options.handler as http.RequestListener;

  const serveWith = (serveHttp1: Serve) => (socket: Socket) =>
    sniff(socket, { tell: showsHttp2, timeoutMs, silent }, (isHttp2) => {
      if (socket instanceof TLSSocket && isHttp2 !== (socket.alpnProtocol === "h2")) {
        // What was agreed on is what is spoken: else one protocol's answer might be read as another's.
        discard(socket);
      } else if (isHttp2) {
        // An http.Server's sockets stay half open when the client closes; an HTTP/2 session would then never learn of it.
        socket.allowHalfOpen = false;
        h2.emit("connection", socket);
      } else {
        serveHttp1(socket);
      }
    });
  const dropSilent = () => {
    for (const socket of silent) socket.destroy();
  };

  if (!tls) {
    const http1 = http.createServer(options.http1, listener);
    const serve = serveWith(takeOver(http1, "connection"));
    http1.on("connection", (socket) => {
      options.onConnection(socket);
      serve(socket);
    });
    return { http1, http2: h2, dropSilent, setTls: () => {} };
  }

  const asksForCertificate = tls.ca !== undefined;
  const http1 = https.createServer(
    {
      ...options.http1,
      ...tls,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: timeoutMs,
      requestCert: asksForCertificate,
      // A client without a certificate may have other credentials; one whose certificate is not good is turned away below.
      rejectUnauthorized: false,
    },
    listener,
  );
  const shakeHands = takeOver(http1, "connection");
  const serve = serveWith(takeOver(http1, "secureConnection"));
  http1.on("connection", (socket: Socket) => {
    options.onConnection(socket);
    sniff(socket, { tell: showsTls, timeoutMs, silent }, (isTls) =>
      isTls ? shakeHands(socket) : refuseClearText(socket),
    );
  });
  http1.on("secureConnection", (socket) => {
    if (asksForCertificate && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      options.onBadCertificate(socket, String(socket.authorizationError));
      discard(socket);
    } else {
      serve(socket);
    }
  });
  return { http1, http2: h2, dropSilent, setTls: (context) => http1.setSecureContext(context) };
}

type Serve = (socket: Socket) => void;

/** Node's own listener, which is to be called only after we have looked. */
function takeOver(server: Server, event: string): Serve {
  const [own] = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) => own!.call(server, socket);
}

function showsHttp2(head: Buffer): boolean | undefined {
  const length = Math.min(head.length, preface.length);
  const isHttp2 = head.compare(preface, 0, length, 0, length) === 0;
  return isHttp2 && length < preface.length ? undefined : isHttp2;
}

/** The first byte of TLS is that of a record with a handshake (RFC 8446, section 5.1). */
const showsTls = (head: Buffer): boolean => head[0] === 22;

/** How long who speaks no TLS has to read why it is not served. */
const lingerMs = 500;

function refuseClearText(socket: Socket): void {
  const text = "This port speaks TLS: use https.\n";
  const headers = { ...plainHeaders, "content-type": "text/plain", "content-length": text.length, connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on("error", () => {});
  socket.resume().end(`HTTP/1.1 400 Bad Request\r\n${lines.join("")}\r\n${text}`);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}
