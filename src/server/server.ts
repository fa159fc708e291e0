import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescFile, DescService } from "@bufbuild/protobuf";
import type { ConnectError, ConnectRouter } from "@connectrpc/connect";
import { createConnectRouter } from "@connectrpc/connect";
import type { Logger } from "pino";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { type Access, openAccess } from "../access/access.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { shuttingDown } from "./client-gone.ts";
import { capConnections } from "./connection-cap.ts";
import { createCors } from "./cors.ts";
import { createHealth } from "./health.ts";
import { createHostCheck } from "./host-check.ts";
import { defaultKeepAlive, type KeepAliveOptions, pingSession, probeSocket } from "./keep-alive.ts";
import { listenOn } from "./listen-on.ts";
import { createNodeHandler, type Fallback } from "./node-handler.ts";
import { createOnePort } from "./one-port.ts";
import { countCalls } from "./open-calls.ts";
import { registerReflection } from "./reflection.ts";
import { guardResets, type ResetLimits } from "./reset-guard.ts";
import { createRouterOptions } from "./router-options.ts";
import { closeWhenIdle, defaultPatience, type PatienceOptions } from "./slow-clients.ts";
import type { Tls } from "./tls-files.ts";
import { compileRules } from "./validator.ts";

export interface ServerOptions {
  /** Any other than a loopback address or localhost is refused, unless access control is on or its lack was spelt out. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The services that health knows by name and reflection lists. */
  readonly services: readonly DescService[];
  /** Files with messages that only travel inside error details; reflection serves them too. */
  readonly detailFiles?: readonly DescFile[];
  /** Turns the errors that the services know into Connect errors with their ErrorInfo; undefined for any other. */
  readonly mapError: (error: unknown) => ConnectError | undefined;
  readonly log: Logger;
  readonly limits?: Partial<Limits>;
  readonly keepAlive?: Partial<KeepAliveOptions>;
  readonly patience?: Partial<PatienceOptions>;
  /** What is served will be guarded by access control. */
  readonly isGuarded?: boolean;
  /** It is spelt out that other machines may be served without access control. */
  readonly insecureNoAuth?: boolean;
  /** With it the port speaks TLS only. */
  readonly tls?: Tls | undefined;
  /** Origins of web pages that may call; when absent any loopback origin, and with access control none. "*" stands for all. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Host names besides the loopback ones that requests may be addressed to; when absent, with access control, all. */
  readonly allowedHosts?: readonly string[];
  /** Reads large messages on another thread; without it they are read here. */
  readonly large?: LargeBodies;
}

/** What a server serves beside health and reflection. */
export interface Served {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Gets every request that is no RPC, after the checks of host and origin. */
  readonly fallback?: Fallback;
  /** Who calls, and what they may; by default everybody may do everything. */
  readonly access?: Access;
}

interface Limits extends ResetLimits {
  /** The largest request message. */
  readonly readMaxBytes: number;
  /** The largest response message. */
  readonly writeMaxBytes: number;
  /** At a time; see capConnections. */
  readonly maxConnections: number;
  /** On one HTTP/2 connection. */
  readonly maxConcurrentStreams: number;
  /** What one HTTP/2 connection may buffer. Node's 10 MB refuses streams when a few hundred readers are slow. */
  readonly maxSessionMemoryMb: number;
  /** How long a new connection may be silent, or take to agree on keys. */
  readonly sniffTimeoutMs: number;
}

const defaultLimits: Limits = {
  readMaxBytes: 16 * 1024 * 1024,
  writeMaxBytes: 64 * 1024 * 1024,
  maxConnections: 10_000,
  maxConcurrentStreams: 10_000,
  maxSessionMemoryMb: 1000,
  resetBurst: 1_500,
  resetsPerSecond: 200,
  sniffTimeoutMs: 10_000,
};

export interface ReinsServer {
  /**
   * Takes the port. Until `serve`, health says NOT_SERVING, and whatever else is asked is told to come back.
   * Rejects with a sentence for the person who starts the server.
   */
  listen(): Promise<{ port: number; url: string }>;
  /** Serves from now on; health says SERVING. */
  serve(served: Served): void;
  /**
   * Shuts down in order: health turns to not serving, connections are told to go, new calls are refused as UNAVAILABLE. What
   * is still in flight after the grace sees `shutdownSignal`; what is left some seconds later is cut off. Never rejects.
   */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything off. Calls in flight see `shutdownSignal` first, so that none mistakes it for a client that leaves. */
  close(): Promise<void>;
  readonly health: { set(serving: boolean): void };
  /** Aborted with an UNAVAILABLE ConnectError when calls in flight must end now. */
  readonly shutdownSignal: AbortSignal;
}

/** The time that handlers have to end after `shutdownSignal`, and their clients to hear of it. */
const hardLimitMs = 3000;

/** Makes the server; nothing happens before `listen`. */
export function createServer(options: ServerOptions): ReinsServer {
  const { log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const patience = { ...defaultPatience, ...options.patience };
  const keepAlive = { ...defaultKeepAlive, ...options.keepAlive };
  const shutdown = new AbortController();
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  let draining = false;
  const isDraining = () => draining;
  const { isGuarded = false, insecureNoAuth = false, tls } = options;
  const isTls = tls !== undefined;

  const health = createHealth(options.services);
  const createHandler = (served: Served | undefined) => {
    const router = createConnectRouter(
      createRouterOptions({
        ...limits,
        mapError: options.mapError,
        shutdownSignal: shutdown.signal,
        isDraining,
        log,
        large: options.large,
      }),
    );
    served?.routes(router);
    health.routes(router);
    const access = served?.access ?? openAccess;
    // Until it is known who may ask, nobody is told.
    if (served || !isGuarded) registerReflection(router, [...options.services, Health], options.detailFiles);
    return createNodeHandler({
      handlers: router.handlers,
      isAllowedHost: createHostCheck(options.allowedHosts, isGuarded),
      cors: createCors({ origins: options.corsOrigins, isGuarded, isTls }),
      isTls,
      access,
      mapError: options.mapError,
      fallback: served?.fallback,
      isStarting: served === undefined,
      isDraining,
      large: options.large,
      readMaxBytes: limits.readMaxBytes,
      bodyTimeoutMs: patience.bodyTimeoutMs,
      log,
    });
  };
  let handler = createHandler(undefined);

  const onePort = createOnePort({
    handler: (request, response) => handler(request, response),
    http1: {
      keepAliveTimeout: patience.idleTimeoutMs,
      headersTimeout: Math.min(patience.headTimeoutMs, patience.bodyTimeoutMs),
      requestTimeout: patience.bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, patience.headTimeoutMs),
    },
    http2: {
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams },
      maxSessionMemory: limits.maxSessionMemoryMb,
      // Ours comes first; the default (1000, and 33 more a second) is less than what a client may well cancel at once.
      streamResetBurst: 10 * limits.resetBurst,
      streamResetRate: 10 * limits.resetsPerSecond,
    },
    sniffTimeoutMs: limits.sniffTimeoutMs,
    tls: tls?.context,
    onBadCertificate(socket, reason) {
      log.warn({ peer: peerOf({ socket }), reason }, "a client's certificate is not good; its connection is closed");
    },
    onConnection(socket) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      probeSocket(socket, keepAlive);
    },
  });
  capConnections(onePort.http1, limits.maxConnections, sockets, log);
  onePort.http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    const onReset = guardResets(session, limits, () =>
      log.warn({ peer: peerOf(session) }, "a client resets its calls faster than is good; its connection is closed"),
    );
    const calls = countCalls(session, onReset);
    closeWhenIdle(session, calls, patience.idleTimeoutMs);
    pingSession(session, calls, keepAlive, () => log.info("a client no longer answers; its connection is dropped"));
    if (draining) {
      session.close();
    }
  });
  // Clients that close carelessly end up here; without a listener their errors would be lost, not harmful.
  onePort.http1.on("tlsClientError", (error: Error) => log.debug({ err: error }, "a connection has not come to TLS"));
  onePort.http2.on("sessionError", (error) => log.debug({ err: error }, "an HTTP/2 connection failed"));

  const following = new AbortController();
  tls?.follow((context) => onePort.setTls(context), following.signal);

  let closed: Promise<void> | undefined;
  const stopListening = () => {
    closed ??= new Promise((resolve) => onePort.http1.close(() => resolve()));
    return closed;
  };
  const endCalls = () => {
    if (!shutdown.signal.aborted) {
      shutdown.abort(shuttingDown());
    }
  };
  const close = async () => {
    draining = true;
    endCalls();
    following.abort();
    const done = stopListening();
    for (const session of sessions) {
      session.destroy();
    }
    for (const socket of sockets) {
      socket.destroy();
    }
    await done;
  };

  return {
    health,
    shutdownSignal: shutdown.signal,
    close,
    async listen() {
      const guards = { access: isGuarded, tls: isTls, insecureNoAuth };
      const address = await listenOn(onePort.http1, { host: options.host, port: options.port, guards });
      // While the start waits for others; nobody is served yet.
      setImmediate(compileRules, options.services);
      return address;
    },
    serve(served) {
      // Who was let in by names and addresses for the sake of access control must meet it.
      if (isGuarded && !served.access?.isOn) throw new Error("Access control was announced, and there is none");
      handler = createHandler(served);
      health.set(true);
    },
    async drain(graceMs) {
      draining = true;
      health.set(false);
      health.end();
      const done = stopListening();
      for (const session of sessions) {
        session.close();
      }
      onePort.dropSilent();
      const idle = setInterval(() => onePort.http1.closeIdleConnections(), 100);
      try {
        if (!(await settlesWithin(done, graceMs))) {
          endCalls();
          await settlesWithin(done, hardLimitMs);
        }
      } finally {
        clearInterval(idle);
        await close();
      }
    },
  };
}

const peerOf = ({ socket }: { readonly socket?: Pick<Socket, "remoteAddress" | "remotePort"> }): string =>
  `${socket?.remoteAddress}:${socket?.remotePort}`;

/** True when the promise resolves in time. */
async function settlesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise.then(() => true),
      sleep(ms, false, { signal: timer.signal }).catch(() => false),
    ]);
  } finally {
    timer.abort();
  }
}
