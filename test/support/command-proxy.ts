import { BSON } from "mongodb";
import { documentAt, isCommand, startDatabaseTap } from "./database-tap.ts";

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
  let commands: string[] = [];
  const tap = await startDatabaseTap(Number(port), (message) => {
    if (!isCommand(message)) return;
    const command = commandIn(message);
    if (!unasked.test(command)) commands.push(command);
  });
  return {
    uri: uri.replace(`:${port}`, `:${tap.port}`),
    taken() {
      const all = commands;
      commands = [];
      return all;
    },
    close: tap.close,
  };
}

/** Of servers, leases and connections. */
const unasked = /^(hello|isMaster|ismaster|ping|endSessions|sasl\w+|\w+ (servers|nudges|meta))$/;

function commandIn(message: Buffer): string {
  const document = message.subarray(documentAt, documentAt + message.readInt32LE(documentAt));
  const [name, value] = Object.entries(BSON.deserialize(document))[0]!;
  return typeof value === "string" ? `${name} ${value}` : name;
}
