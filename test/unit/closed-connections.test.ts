import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { MongoNetworkError } from "mongodb";
// @ts-expect-error The driver has no types for what it does not export.
import { Connection } from "mongodb/lib/cmap/connection.js";
import { afterEach, beforeEach, expect, it } from "vitest";
import { failWritesToClosedConnections } from "../../src/storage/closed-connections.ts";
import { isDatabaseUnavailable } from "../../src/storage/database.ts";

let server: Server;
let socket: Socket;
let received: Promise<unknown[]>;

beforeEach(async () => {
  failWritesToClosedConnections();
  server = createServer((peer) => {
    received = once(peer, "data");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await Promise.all([once(socket, "connect"), accepted]);
});
afterEach(() => {
  socket.destroy();
  server.close();
});

const open = () => new Connection(socket, { id: 1, generation: 0, hostAddress: "a database", monitorCommands: false });
const write = (connection: ReturnType<typeof open>, meanwhile: () => void) => {
  const command = {
    async toBin() {
      meanwhile();
      return [Buffer.from("a command")];
    },
  };
  return connection.writeCommand(command, { agreedCompressor: "none" }) as Promise<void>;
};

it("a command whose connection closes while it is written fails, as one that the database did not answer", async () => {
  const error = await write(open(), () => socket.destroy()).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(MongoNetworkError);
  expect(isDatabaseUnavailable(error)).toBe(true);
});

it("any other is written as before, and leaves nothing behind on the connection", async () => {
  const connection = open();
  const listeners = connection.listenerCount("close");
  await write(connection, () => undefined);
  expect(String((await received)[0])).toBe("a command");
  expect(connection.listenerCount("close")).toBe(listeners);
});
