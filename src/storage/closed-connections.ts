import type { EventEmitter } from "node:events";
// @ts-expect-error The driver has no types for what it does not export.
import { Connection as DriverConnection } from "mongodb/lib/cmap/connection.js";

type WriteCommand = (this: Connection, ...request: unknown[]) => Promise<void>;
interface Connection extends EventEmitter {
  readonly error: Error | null;
}

let isMended = false;

/**
 * Lets a command fail whose connection closes in the very moment in which it is written. Such a write finds no room, and
 * mongodb 7.9.0 (lib/cmap/connection.js, writeCommand) waits until the socket has drained, or tells an error: a socket that
 * was closed does neither, so that the command, and whoever awaits it, would wait for ever.
 */
export function failWritesToClosedConnections(): void {
  if (isMended) return;
  isMended = true;
  const driver = DriverConnection.prototype as { writeCommand: WriteCommand };
  const { writeCommand } = driver;
  driver.writeCommand = function (...request) {
    return new Promise((resolve, reject) => {
      const closed = () => reject(this.error);
      this.once("close", closed);
      const written = writeCommand.apply(this, request).finally(() => this.off("close", closed));
      written.then(resolve, reject);
    });
  };
}
