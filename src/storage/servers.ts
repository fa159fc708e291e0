import type { RunName } from "../domain/run.ts";
import type { Collections } from "./collections.ts";
import type { ServerDocument, WatchDocument } from "./documents.ts";
import { runKey } from "./run-document.ts";

/** A watch as those ask for it who look whether a run is still watched. */
export interface StoredWatch {
  readonly id: string;
  readonly server: string;
  readonly ifLast: boolean;
  readonly left: boolean;
}

export interface ServerStore {
  /** Says that the server lives; creates its record. Answers the database's time. */
  beat(server: Omit<ServerDocument, "seen_at">): Promise<Date>;
  leave(server: string): Promise<void>;
  others(server: string): Promise<ServerDocument[]>;
  watch(id: string, server: string, run: RunName, ifLast: boolean): Promise<void>;
  markLeft(id: string): Promise<void>;
  unwatch(id: string): Promise<void>;
  watchesOf(server: string): Promise<(RunName & StoredWatch)[]>;
  watchesOfRun(run: RunName): Promise<StoredWatch[]>;
}

export function createServerStore({ servers, watches }: Pick<Collections, "servers" | "watches">): ServerStore {
  return {
    async beat({ _id, ...rest }) {
      const doc = await servers.findOneAndUpdate({ _id }, [{ $set: { ...rest, seen_at: "$$NOW" } }], {
        upsert: true,
        returnDocument: "after",
      });
      return doc!.seen_at;
    },

    async leave(server) {
      await servers.deleteOne({ _id: server });
    },

    others: (server) => servers.find({ _id: { $ne: server } }).toArray(),

    async watch(id, server, run, ifLast) {
      await watches.insertOne({
        _id: id,
        owner: run.owner,
        thread_id: run.threadId,
        run_id: runKey(run),
        server,
        if_last: ifLast,
        left: false,
      });
    },

    async markLeft(id) {
      await watches.updateOne({ _id: id }, { $set: { left: true } });
    },

    async unwatch(id) {
      await watches.deleteOne({ _id: id });
    },

    /** Index: watches_of_server. */
    async watchesOf(server) {
      const docs = await watches.find({ server }).toArray();
      return docs.map((doc) => ({
        ...toWatch(doc),
        owner: doc.owner,
        threadId: doc.thread_id,
        runId: doc.run_id.slice(doc.run_id.lastIndexOf("/") + 1),
      }));
    },

    /** Index: watches_of_run. */
    async watchesOfRun(run) {
      return (await watches.find({ run_id: runKey(run) }).toArray()).map(toWatch);
    },
  };
}

const toWatch = (doc: WatchDocument): StoredWatch => ({
  id: doc._id,
  server: doc.server,
  ifLast: doc.if_last,
  left: doc.left,
});
