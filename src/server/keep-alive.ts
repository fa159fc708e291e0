import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { OpenCalls } from "./open-calls.ts";

export interface KeepAliveOptions {
  /** How often an HTTP/2 client with open streams is pinged. */
  readonly pingIntervalMs: number;
  /** How long its answer may take until the connection is given up. */
  readonly pingTimeoutMs: number;
  /** TCP keepalive, for HTTP/1.1: the silence before the first probe. Whole seconds, as in the two below. */
  readonly tcpIdleMs: number;
  /** The time between two probes. */
  readonly tcpIntervalMs: number;
  /** How many unanswered probes end the connection. */
  readonly tcpProbes: number;
}

/** A peer that vanished without a word is noticed within 15 s. */
export const defaultKeepAlive: KeepAliveOptions = {
  pingIntervalMs: 10_000,
  pingTimeoutMs: 5_000,
  tcpIdleMs: 6_000,
  tcpIntervalMs: 3_000,
  tcpProbes: 3,
};

/**
 * Makes the kernel probe a silent connection. It does not probe one on which data is unacknowledged, so a stream with
 * heartbeats over HTTP/1.1 is only given up when the kernel stops to retransmit (`net.ipv4.tcp_retries2`, 15 min by default).
 */
export function probeSocket(socket: Socket, options: KeepAliveOptions): void {
  // Node takes an object since 24; older ones see a truthy `enable` and use the kernel's times. @types/node knows neither.
  const setKeepAlive = socket.setKeepAlive as unknown as (options: object) => void;
  setKeepAlive.call(socket, {
    enable: true,
    initialDelay: options.tcpIdleMs,
    interval: options.tcpIntervalMs,
    count: options.tcpProbes,
  });
}

/**
 * Pings the client as long as it has open calls, and drops the connection when the answer does not come: this aborts
 * the calls' handlers. Calls back before it drops one.
 */
export function pingSession(
  session: ServerHttp2Session,
  calls: OpenCalls,
  options: KeepAliveOptions,
  onLost: () => void,
): void {
  let timeout: NodeJS.Timeout | undefined;

  const lose = () => {
    onLost();
    session.destroy();
  };
  const ping = () => {
    if (calls.count === 0 || timeout || session.destroyed) {
      return;
    }
    let answered = false;
    const sent = session.ping(() => {
      answered = true;
      clearTimeout(timeout);
      timeout = undefined;
    });
    if (sent) {
      // After a stall of this process the answer may be waiting in the socket: let it be read before judging.
      timeout = setTimeout(() => setImmediate(() => answered || lose()), options.pingTimeoutMs);
    }
  };
  const interval = setInterval(ping, options.pingIntervalMs);
  session.once("close", () => {
    clearInterval(interval);
    clearTimeout(timeout);
  });
}
