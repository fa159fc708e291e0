/**
 * A process that starts an embedded database, as Reins does, and stays until it is told to stop: for tests that kill
 * it or press Ctrl-C. Sends `{ uri }` or `{ error }`; the message "stop" ends it in order, SIGINT alone does not.
 */
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "./embedded-options.ts";

process.on("SIGINT", () => process.send?.({ interrupted: true }));
try {
  const database = await startEmbeddedDatabase(embeddedOptions(process.argv[2]!));
  process.on("message", async (message) => {
    if (message !== "stop") return;
    await database.stop();
    process.disconnect();
  });
  process.send?.({ uri: database.uri });
} catch (error) {
  process.send?.({ error: (error as Error).message });
  process.disconnect();
}
