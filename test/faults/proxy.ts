import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a line does to what passes on it. It knows nothing of the protocol: a piece is what a socket gives at a time. */
export interface LineFaults {
  /** Pieces of answers come late by up to so much, in ms. */
  readonly delayMs: number;
  /** The share of answers that are lost: the request has been carried out, and the connection is cut. */
  readonly lost: number;
  /** The share of requests that are carried out late: the connection is cut first. */
  readonly late: number;
  /** How late, in ms, at most. */
  readonly lateMs: number;
  /** Nothing passes, and nobody is told. What was sent meanwhile passes afterwards. */
  readonly held: boolean;
  /** Connections are cut, new ones as well. */
  readonly away: boolean;
}

export const soundLine: LineFaults = { delayMs: 0, lost: 0, late: 0, lateMs: 0, held: false, away: false };

export interface FaultyProxy {
  readonly port: number;
  /** From now on the line has these faults and no others. */
  set(faults: Partial<LineFaults>): void;
  /** What has been done so far. */
  readonly done: { delayed: number; lost: number; late: number; cut: number };
  stop(): Promise<void>;
}

/** A TCP proxy on loopback whose line can be bad. `random` decides about each piece. */
export async function startFaultyProxy(targetPort: number, random: () => number): Promise<FaultyProxy> {
  const sockets = new Set<net.Socket>();
  const done = { delayed: 0, lost: 0, late: 0, cut: 0 };
  let faults = soundLine;
  let passing = Promise.withResolvers<void>();
  passing.resolve();

  const proxy = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (faults.away) return void client.destroy();
    const target = net.connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const cut = () => {
      client.destroy();
      target.destroy();
    };
    let isCutOff = false;

    const sendRequest = async (piece: Buffer): Promise<void> => {
      await passing.promise;
      if (!isCutOff && random() < faults.late) {
        done.late += 1;
        isCutOff = true;
        client.destroy();
        await sleep(random() * faults.lateMs);
      }
      target.write(piece);
    };
    const sendAnswer = async (piece: Buffer): Promise<void> => {
      await passing.promise;
      if (isCutOff || random() < faults.lost) {
        if (!isCutOff) done.lost += 1;
        return cut();
      }
      if (faults.delayMs > 0) {
        done.delayed += 1;
        await sleep(random() * faults.delayMs);
      }
      client.write(piece);
    };
    inOrder(client, sendRequest, () => isCutOff || target.end());
    inOrder(target, sendAnswer, () => client.end());
    for (const [socket, isNeeded] of [
      [client, () => !isCutOff],
      [target, () => true],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => isNeeded() && cut());
      socket.on("close", () => sockets.delete(socket));
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");

  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (proxy.address() as net.AddressInfo).port,
    done,
    set(wanted) {
      const next = { ...soundLine, ...wanted };
      if (next.held && !faults.held) passing = Promise.withResolvers();
      if (!next.held) passing.resolve();
      if (next.away && !faults.away) {
        done.cut += sockets.size;
        cutAll();
      }
      faults = next;
    },
    async stop() {
      passing.resolve();
      cutAll();
      proxy.close();
      await once(proxy, "close");
    },
  };
}

/** Sends one piece after the other, and ends when all are sent. */
function inOrder(from: net.Socket, send: (piece: Buffer) => Promise<void>, end: () => void): void {
  let sent = Promise.resolve();
  from.on("data", (piece) => {
    sent = sent.then(() => send(piece));
  });
  from.on("end", () => {
    sent = sent.then(end);
  });
}
