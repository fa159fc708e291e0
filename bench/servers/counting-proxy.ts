import { documentAt, isCommand, startDatabaseTap } from "../../test/support/database-tap.ts";

/**
 * A process between servers and their database that counts their commands by name. Started by `fork` with the database's port;
 * sends its own, and what it has counted whenever it is asked.
 */
const counts: Record<string, number> = {};
/** Behind the length of the document and the type of its first field. */
const nameAt = documentAt + 4 + 1;

const { port } = await startDatabaseTap(Number(process.argv[2]), (message) => {
  const name = isCommand(message) ? message.toString("latin1", nameAt, message.indexOf(0, nameAt)) : "hello";
  counts[name] = (counts[name] ?? 0) + 1;
});
process.on("message", () => process.send!(counts));
process.on("disconnect", () => process.exit());
process.send!(port);
