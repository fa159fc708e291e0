import type { RunName } from "../domain/run.ts";
import type { Collections } from "./collections.ts";
import { runKey } from "./run-document.ts";

/** A server that uses this database. */
export interface ServerDocument {
  /** Made anew at each start. */
  _id: string;
  /** Names the operating system's process table that `pid` is in. */
  machine: string;
  pid: number;
  /** When that process started: tells it from a later one with the same id. */
  started: string;
  /** Leaders of the process groups of its children. */
  children: number[];
  seen_at: Date;
}

/** A CANCEL watcher: its run is cancelled when the server that holds the connection dies. */
export interface WatchDocument {
  _id: string;
  owner: string;
  thread_id: string;
  run_id: string;
  server: string;
}

export interface ServerStore {
  /** Says that the server lives; creates its record. Answers the database's time. */
  beat(server: Omit<ServerDocument, "seen_at">): Promise<Date>;
  leave(server: string): Promise<void>;
  others(server: string): Promise<ServerDocument[]>;
  watch(id: string, server: string, run: RunName): Promise<void>;
  unwatch(id: string): Promise<void>;
  watchesOf(server: string): Promise<(RunName & { id: string })[]>;
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

    async watch(id, server, run) {
      await watches.insertOne({ _id: id, owner: run.owner, thread_id: run.threadId, run_id: runKey(run), server });
    },

    async unwatch(id) {
      await watches.deleteOne({ _id: id });
    },

    /** Index: watches_of_server. */
    async watchesOf(server) {
      const docs = await watches.find({ server }).toArray();
      return docs.map((doc) => ({
        id: doc._id,
        owner: doc.owner,
        threadId: doc.thread_id,
        runId: doc.run_id.slice(doc.run_id.lastIndexOf("/") + 1),
      }));
    },
  };
}
