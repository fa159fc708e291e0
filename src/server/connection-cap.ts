import type { Server, Socket } from "node:net";
import type { Logger } from "pino";

/**
 * Takes no more connections than `most` at a time: the process has only so many files. The reason is logged when the first one is
 * refused, and not again before half of them are gone.
 */
export function capConnections(server: Server, most: number, sockets: ReadonlySet<Socket>, log: Logger): void {
  let told = false;
  server.maxConnections = most;
  server.on("drop", () => {
    if (told) return;
    told = true;
    log.warn({ connections: most }, "there are as many connections as REINS_MAX_CONNECTIONS allows; more are refused");
  });
  server.on("connection", (socket: Socket) => {
    socket.once("close", () => {
      if (sockets.size <= most / 2) told = false;
    });
  });
}
