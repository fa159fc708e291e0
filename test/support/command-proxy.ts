import { once } from "node:events";
import net from "node:net";
import { BSON } from "mongodb";

/** Stands between a server and its database and notes each command, by name and collection. */
export interface CommandProxy {
  /** The database's address, through the proxy. */
  readonly uri: string;
  /** What has been sent since the last time, in order, but for what servers send without being asked. */
  taken(): string[];
  close(): Promise<void>;
}

export async function startCommandProxy(uri: string): Promise<CommandProxy> {
  const { port } = new URL(uri);
  const sockets = new Set<net.Socket>();
  let commands: string[] = [];
  const proxy = net.createServer({ noDelay: true }, (client) => {
    const database = net.connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
    const note = commandReader((name) => commands.push(name));
    client.on("data", note);
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
  const address = proxy.address() as net.AddressInfo;
  return {
    uri: uri.replace(`:${port}`, `:${address.port}`),
    taken() {
      const all = commands;
      commands = [];
      return all;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, "close");
    },
  };
}

/** Of servers, leases and connections. */
const unasked = /^(hello|isMaster|ismaster|ping|endSessions|sasl\w+|\w+ (servers|nudges|meta))$/;

const headerBytes = 16;
const opMsg = 2013;
/** In an OP_MSG: the header, the flags and the kind of the first section. */
const documentAt = headerBytes + 4 + 1;

/** Takes what comes on a connection, and tells each command in it. */
function commandReader(tell: (command: string) => void): (piece: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (piece) => {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0));
      rest = rest.subarray(message.length);
      if (message.readInt32LE(12) !== opMsg) continue;
      const document = message.subarray(documentAt, documentAt + message.readInt32LE(documentAt));
      const [name, value] = Object.entries(BSON.deserialize(document))[0]!;
      const command = typeof value === "string" ? `${name} ${value}` : name;
      if (!unasked.test(command)) tell(command);
    }
  };
}
