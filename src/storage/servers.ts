import type { ServerStore } from "../domain/ports.ts";
import type { Server, StoredWatch } from "../domain/server.ts";
import type { Collections } from "./collections.ts";
import type { ServerDocument, WatchDocument } from "./documents.ts";
import { runKey } from "./run-document.ts";

export function createServerStore({ servers, watches }: Pick<Collections, "servers" | "watches">): ServerStore {
  return {
    async beat({ id, ...rest }) {
      const doc = await servers.findOneAndUpdate({ _id: id }, [{ $set: { ...rest, seen_at: "$$NOW" } }], {
        upsert: true,
        returnDocument: "after",
      });
      return doc!.seen_at;
    },

    async leave(server) {
      await servers.deleteOne({ _id: server });
    },

    others: async (server) => (await servers.find({ _id: { $ne: server } }).toArray()).map(toServer),

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

const toServer = ({ _id, machine, pid, started, children, seen_at }: ServerDocument): Server => ({
  id: _id,
  machine,
  pid,
  started,
  children,
  seenAt: seen_at,
});

const toWatch = (doc: WatchDocument): StoredWatch => ({
  id: doc._id,
  server: doc.server,
  ifLast: doc.if_last,
  left: doc.left,
});
