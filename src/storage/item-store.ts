import { createHash, randomUUID } from "node:crypto";
import { type Document, MongoServerError } from "mongodb";
import type { Item, ItemName, NewItem, WriteLimit } from "../domain/item.ts";
import type { ItemStore } from "../domain/ports.ts";
import type { Collections } from "./collections.ts";
import type { ItemDocument } from "./documents.ts";
import { after, isDuplicateKey, key } from "./keys.ts";

/**
 * Items in MongoDB; those by name walk `_id`. A write with a limit is guarded by the database's own clock, in the update itself:
 * however long it was held up on its way, it changes nothing after its time.
 */
export function createItemStore({ items }: Pick<Collections, "items">, now: () => Date): ItemStore {
  const isLive = (doc: Pick<ItemDocument, "expire_at">) => doc.expire_at === null || doc.expire_at > now();

  return {
    /** Absent or there → there. Guard: the database's time. */
    async put(item, limit) {
      const write = randomUUID();
      const { _id, expire_at, ...content } = newItemDocument(item, write, now());
      return inTime(async () => {
        const doc = await items.findOneAndUpdate({ _id }, replacement(content, expire_at, limit), {
          upsert: true,
          returnDocument: "after",
          projection: { write: 1 },
          ...(limit && { maxTimeMS: limit.limitMs }),
        });
        if (doc) return doc.write === write;
        // Where the item was made meanwhile the embedded engines write, and answer nothing.
        const there = await items.findOne({ _id }, { projection: { write: 1 } });
        return there?.write === write || undefined;
      });
    },

    /** There → absent. Guard: the database's time. */
    async remove(name, limit) {
      const filter = { _id: itemKey(name) };
      return inTime(async () => {
        const options = limit ? { maxTimeMS: limit.limitMs } : {};
        const { deletedCount } = await items.deleteOne({ ...filter, ...guardOf(limit) }, options);
        if (deletedCount === 1 || !limit) return true;
        return (await items.findOne(filter, { projection: { write: 1 } }))?.write === undefined;
      });
    },

    async find(name) {
      const doc = await items.findOne({ _id: itemKey(name) });
      return doc?.value !== undefined && isLive(doc) ? toItem(doc) : undefined;
    },

    /** Guard: it was not put again; the database's time. */
    async prolong(item, limit) {
      const expire_at = after(now(), item.ttlMs!);
      await items.updateOne(
        { _id: itemKey(item), updated_at: item.updatedAt, ttl_ms: item.ttlMs!, ...guardOf(limit) },
        { $set: { expire_at } },
      );
    },

    /** Index: items_by_place. */
    async *scan(owner, prefix, batch) {
      const cursor = items.find({ places: placeOf(owner, prefix) }).sort({ updated_at: -1, _id: 1 });
      for await (const doc of cursor.batchSize(Math.min(batch, mostAtOnce))) if (isLive(doc)) yield toItem(doc);
    },

    /** Index: item_namespaces, which has all that is asked for. */
    async *namespaces(owner, prefix) {
      const path = pathOf(prefix);
      // What follows the dot in the order of characters ends the range.
      const range = path === "" ? {} : { path: { $gte: path, $lt: `${path.slice(0, -1)}/` } };
      const cursor = items
        .find({ owner, ...range })
        .project<Pick<ItemDocument, "path" | "expire_at">>({ _id: 0, path: 1, expire_at: 1 })
        .sort({ path: 1 });
      let last: string | undefined;
      for await (const doc of cursor) {
        if (doc.path === last || !isLive(doc)) continue;
        last = doc.path;
        yield doc.path.slice(0, -1).split(".");
      }
    },
  };
}

/** Without what the database's clock says. */
export function newItemDocument(
  item: NewItem,
  write: string,
  now: Date,
): Omit<ItemDocument, "created_at" | "updated_at"> {
  const { owner, namespace, key, value, ttlMs } = item;
  return {
    _id: itemKey(item),
    owner,
    namespace: [...namespace],
    key,
    path: pathOf(namespace),
    places: placesOf(owner, namespace),
    value,
    write,
    ttl_ms: ttlMs ?? null,
    expire_at: ttlMs === undefined ? null : new Date(now.getTime() + ttlMs),
  };
}

/** The driver's own first batch; larger ones are of no use. */
const mostAtOnce = 100;

/** The same text for no other item: what comes from clients may be long, or hold anything. */
const itemKey = ({ owner, namespace, key: name }: ItemName): string => key(owner, hash([namespace, name]));

const pathOf = (namespace: readonly string[]): string => namespace.map((label) => `${label}.`).join("");

const placeOf = (owner: string, namespace: readonly string[]): string => hash([owner, namespace]);

const placesOf = (owner: string, namespace: readonly string[]): string[] =>
  Array.from({ length: namespace.length + 1 }, (_, depth) => placeOf(owner, namespace.slice(0, depth)));

const hash = (parts: unknown): string => createHash("sha256").update(JSON.stringify(parts)).digest("base64url");

/** Whether the database's clock has not passed the limit. As numbers, since one of the engines compares no dates here. */
const inTimeOf = ({ by }: WriteLimit): Document => ({ $lt: [{ $toLong: "$$NOW" }, by.getTime()] });

const guardOf = (limit: WriteLimit | undefined): Document => (limit ? { $expr: inTimeOf(limit) } : {});

/**
 * The new content if the write is in time, else the old one. Where there was none that leaves a document that holds nothing and
 * is soon removed: an upsert always makes one.
 */
function replacement(content: object, expireAt: Date | null, limit: WriteLimit | undefined): Document[] {
  const landing = (value: unknown, former: unknown) => (limit ? { $cond: [inTimeOf(limit), value, former] } : value);
  const fields = Object.entries(content).map(([name, value]) => [name, landing({ $literal: value }, `$${name}`)]);
  const isThere = { $ne: [{ $ifNull: ["$value", ""] }, ""] };
  const expiresAt = { $ifNull: [{ $toLong: "$expire_at" }, Number.MAX_SAFE_INTEGER] };
  const stays = { $and: [isThere, { $gt: [expiresAt, { $toLong: "$$NOW" }] }] };
  return [
    {
      $set: {
        ...Object.fromEntries(fields),
        created_at: landing({ $cond: [stays, "$created_at", "$$NOW"] }, "$created_at"),
        updated_at: landing("$$NOW", "$updated_at"),
        expire_at: landing({ $literal: expireAt }, { $cond: [isThere, "$expire_at", "$$NOW"] }),
      },
    },
  ];
}

/** Repeats what met an insert of the same `_id`, and has no answer; false when the database gave up at the time that it was given. */
async function inTime(write: () => Promise<boolean | undefined>): Promise<boolean> {
  for (;;) {
    try {
      const isDone = await write();
      if (isDone !== undefined) return isDone;
    } catch (error) {
      if (error instanceof MongoServerError && error.code === maxTimeExpired) return false;
      if (!isDuplicateKey(error)) throw error;
    }
  }
}

const maxTimeExpired = 50;

const toItem = (doc: ItemDocument): Item => ({
  owner: doc.owner,
  namespace: doc.namespace,
  key: doc.key,
  value: doc.value,
  createdAt: doc.created_at,
  updatedAt: doc.updated_at,
  ttlMs: doc.ttl_ms ?? undefined,
});
