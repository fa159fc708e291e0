import type { Migration } from "./migration.ts";

/**
 * Events with whole texts, segments without compression, metadata with its fields beside it and large pending writes in the checkpoint
 * are read as they are, and go with their runs and threads. So nothing is rewritten; but a server of version 4 would take a compressed
 * segment for the value itself.
 */
export const toVersion5: Migration = {
  from: 4,
  to: 5,
  is: "From now on events are stored as what they have of those before them, and checkpoints compressed; what is stored stays as it is.",
  olderServers: "refuse",
  migrate: async () => undefined,
};
