import type { ServerStore } from "../domain/ports.ts";
import type { NewServer, Server, StoredWatch } from "../domain/server.ts";
import type { Collections } from "./collections.ts";
import type { ServerDocument, WatchDocument } from "./documents.ts";
import { insertIfFree } from "./insert-each.ts";
import { after, isDuplicateKey } from "./keys.ts";
import { runKey } from "./run-document.ts";

/** Far longer than a write is under way. */
const barredMs = 24 * 60 * 60 * 1000;

/**
 * `own`: the collection over a connection of its own, so that a server's lease does not stand in line behind what it does.
 * `requireSchema` throws when servers of this version cannot live with the database any more.
 */
export function createServerStore(
  { servers, watches, nudges }: Pick<Collections, "servers" | "watches" | "nudges">,
  now: () => Date,
  own: Collections["servers"] = servers,
  requireSchema: () => Promise<void> = async () => undefined,
): ServerStore {
  /** Guard: nobody has declared it dead. */
  async function renew({ id, ...rest }: NewServer, upsert: boolean): Promise<Date | undefined> {
    const alive = { _id: id, dead_at: { $exists: false } };
    const doc = await own.findOneAndUpdate(alive, seen(rest), { upsert, returnDocument: "after" });
    return doc?.seen_at;
  }

  /**
   * A server that is there is dead, or was inserted in between: then its id is taken, or the embedded engines answer nothing.
   * Guard: nobody has declared it dead.
   */
  async function insertOrRenew(server: NewServer): Promise<Date | undefined> {
    try {
      const joinedAt = await renew(server, true);
      if (joinedAt) return joinedAt;
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
    return renew(server, false);
  }

  async function end(server: string): Promise<void> {
    await servers.updateOne({ _id: server }, [{ $set: { dead_at: "$$NOW" } }]);
  }

  return {
    ...createServerLooks(servers),

    /** It looks at the version before, and after: a migration that did not see this server has begun before the second look. */
    async join(server) {
      await requireSchema();
      const joinedAt = await insertOrRenew(server);
      await requireSchema().catch(async (error) => {
        await end(server.id);
        throw error;
      });
      return joinedAt;
    },

    beat: (server) => renew(server, false),

    async presumeDead(id, now) {
      const nothing = { machine: "", pid: 0, started: "", children: [], free_slots: 0 };
      await servers.updateOne(
        { _id: id },
        { $setOnInsert: { ...nothing, seen_at: now, dead_at: now } },
        { upsert: true },
      );
    },

    end,

    async forget(server) {
      await nudges.deleteOne({ _id: server });
      await servers.deleteOne({ _id: server });
    },

    /** none → watched. Where the id is taken it was stored by a try before, or barred. */
    async watch(id, server, run, { ifLast, actor }) {
      await insertIfFree(watches, {
        _id: id,
        owner: run.owner,
        thread_id: run.threadId,
        run_id: runKey(run),
        server,
        if_last: ifLast,
        ...(actor !== "" && { actor }),
        left: false,
      });
    },

    async markLeft(id) {
      await watches.updateOne({ _id: id }, { $set: { left: true } });
    },

    async unwatch(id) {
      await watches.deleteOne({ _id: id });
    },

    /** A watch or none → barred. The database removes it after a day. */
    async barWatch(id) {
      const barred = { expire_at: after(now(), barredMs) };
      await watches.updateOne(
        { _id: id },
        { $set: barred as object, $unset: { server: "", run_id: "" } },
        { upsert: true },
      );
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

/** Which servers there are, and which of them are dead: what a process may know and decide that is none of them. */
export function createServerLooks(servers: Collections["servers"]): Pick<ServerStore, "others" | "declareDead"> {
  return {
    async others(server) {
      const others = [{ $match: { _id: { $ne: server } } }, { $set: { read_at: "$$NOW" } }];
      return (await servers.aggregate<ServerDocument & { read_at: Date }>(others).toArray()).map(toServer);
    },

    /** Guard: it has not been heard of since. */
    async declareDead({ id, seenAt, isDead }) {
      if (isDead) return true;
      const unheard = { _id: id, seen_at: seenAt };
      return (await servers.updateOne(unheard, [{ $set: { dead_at: "$$NOW" } }])).matchedCount === 1;
    },
  };
}

/** By the database's clock. */
const seen = ({ freeSlots, ...rest }: Pick<Server, "machine" | "pid" | "started" | "children" | "freeSlots">) => [
  { $set: { ...rest, free_slots: freeSlots, seen_at: "$$NOW" } },
];

const toServer = ({
  _id,
  machine,
  pid,
  started,
  children,
  free_slots,
  seen_at,
  read_at,
  dead_at,
}: ServerDocument & { readonly read_at: Date }): Server => ({
  id: _id,
  machine,
  pid,
  started,
  children,
  freeSlots: free_slots,
  seenAt: seen_at,
  readAt: read_at,
  isDead: dead_at !== undefined,
});

const toWatch = (doc: WatchDocument): StoredWatch => ({
  id: doc._id,
  server: doc.server,
  ifLast: doc.if_last,
  actor: doc.actor ?? "",
  left: doc.left,
});
