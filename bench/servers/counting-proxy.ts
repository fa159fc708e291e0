import { once } from "node:events";
import net from "node:net";

/**
 * A process between servers and their database that counts their commands by name. Started by `fork` with the database's port;
 * sends its own, and what it has counted whenever it is asked.
 */
const counts: Record<string, number> = {};
const proxy = net.createServer({ noDelay: true }, (client) => {
  const database = net.connect({ port: Number(process.argv[2]), host: "127.0.0.1", noDelay: true });
  const count = counter((name) => {
    counts[name] = (counts[name] ?? 0) + 1;
  });
  client.on("data", count);
  client.pipe(database);
  database.pipe(client);
  for (const [socket, other] of [
    [client, database],
    [database, client],
  ] as const) {
    socket.on("error", () => other.destroy());
    socket.on("close", () => other.destroy());
  }
});
proxy.listen(0, "127.0.0.1");
await once(proxy, "listening");
process.on("message", () => process.send!(counts));
process.on("disconnect", () => process.exit());
process.send!((proxy.address() as net.AddressInfo).port);

const headerBytes = 16;
const opMsg = 2013;
/** In an OP_MSG: the header, the flags, the kind of the first section, the length of its document, the type of its first field. */
const nameAt = headerBytes + 4 + 1 + 4 + 1;

/** Takes what comes on a connection, and tells the name of each command in it. */
function counter(tell: (name: string) => void): (piece: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (piece) => {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0));
      rest = rest.subarray(message.length);
      const isCommand = message.readInt32LE(12) === opMsg;
      tell(isCommand ? message.toString("latin1", nameAt, message.indexOf(0, nameAt)) : "hello");
    }
  };
}
