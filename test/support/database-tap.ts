import { once } from "node:events";
import net from "node:net";

/** Stands between a server and its database, and shows what the server sends. */
export interface DatabaseTap {
  readonly port: number;
  close(): Promise<void>;
}

const headerBytes = 16;
const opMsg = 2013;
/** In an OP_MSG: the header, the flags and the kind of the first section. */
export const documentAt = headerBytes + 4 + 1;

/** `told` gets every message to the database on this port of this machine, whole. */
export async function startDatabaseTap(port: number, told: (message: Buffer) => void): Promise<DatabaseTap> {
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer({ noDelay: true }, (client) => {
    const database = net.connect({ port, host: "127.0.0.1", noDelay: true });
    client.on("data", messageReader(told));
    client.pipe(database);
    database.pipe(client);
    for (const [socket, other] of [
      [client, database],
      [database, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as net.AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, "close");
    },
  };
}

export const isCommand = (message: Buffer): boolean => message.readInt32LE(12) === opMsg;

/** Takes what comes on a connection, and tells each message in it. */
function messageReader(told: (message: Buffer) => void): (piece: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (piece) => {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0));
      rest = rest.subarray(message.length);
      told(message);
    }
  };
}
