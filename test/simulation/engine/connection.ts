import type { Db } from "mongodb";
import { copyOf } from "./copy-of.ts";
import type { Doc, Filter } from "./matches.ts";
import type { FindOptions, SimulatedEngine, UpdateOptions } from "./simulated-engine.ts";
import type { Update } from "./update-document.ts";

/**
 * Brings a command to the database and its answer back, if all goes well. One about several documents is not carried out at once:
 * its `parts` come first, one after the other, with others' commands between them.
 */
export type Send = <T>(label: string, command: () => T, parts?: readonly (() => void)[]) => Promise<T>;

export interface ConnectionParts {
  readonly engine: SimulatedEngine;
  readonly send: Send;
  /** Calls after each change of the document, until the answer is called. */
  readonly watch: (collection: string, id: string, changed: () => void) => () => void;
}

/** What a server has of the driver: as much of it as the storage uses, each call one command on the network. */
export function connect(parts: ConnectionParts): Db {
  const collection = (name: string) => collectionOf(name, parts);
  return { collection } as unknown as Db;
}

function collectionOf(name: string, { engine, send, watch }: ConnectionParts) {
  const command = <T>(what: string, filter: unknown, run: () => T): Promise<T> =>
    send(`${name}.${what} ${typeof filter === "string" ? filter : idOf(filter)}`, run);

  function cursor(filter: Filter, options: FindOptions) {
    const one = {
      sort: (sort: FindOptions["sort"]) => cursor(filter, { ...options, sort }),
      limit: (limit: number) => cursor(filter, { ...options, limit }),
      // More than was asked for does no harm.
      project: () => one,
      batchSize: () => one,
      toArray: () => command("find", filter, () => engine.find(name, filter, options)),
      next: async () => (await cursor(filter, { ...options, limit: 1 }).toArray())[0] ?? null,
      async *[Symbol.asyncIterator](): AsyncGenerator<Doc> {
        yield* await one.toArray();
      },
    };
    return one as typeof one & { project(): typeof one };
  }

  return {
    createIndexes: async () => [],
    find: (filter: Filter = {}, options: FindOptions = {}) => cursor(filter, options),
    findOne: (filter: Filter, options: FindOptions = {}) =>
      command("findOne", filter, () => engine.find(name, filter, { ...options, limit: 1 })[0] ?? null),
    countDocuments: (filter: Filter = {}, options: FindOptions = {}) =>
      command("count", filter, () => engine.count(name, filter, options)),
    insertOne(doc: Doc) {
      const sent = copyOf(doc);
      return command("insertOne", doc._id, () => engine.insertOne(name, sent));
    },
    insertMany(docs: Doc[], { ordered = true }: { readonly ordered?: boolean } = {}) {
      const insertion = engine.insertion(name, copyOf(docs), ordered);
      return send(
        `${name}.insertMany ${docs.map(({ _id }) => _id).join(" ")}`,
        () => ({ insertedCount: insertion.finish() }),
        docs.map(() => insertion.next),
      );
    },
    updateOne(filter: Filter, update: Update, options?: UpdateOptions) {
      const sent = copyOf(update);
      return command("updateOne", filter, () => ({
        matchedCount: engine.update(name, filter, sent, false, options).length,
      }));
    },
    updateMany(filter: Filter, update: Update) {
      const sent = copyOf(update);
      const ids = (filter._id as { $in?: readonly string[] } | undefined)?.$in;
      if (!ids) {
        return command("updateMany", filter, () => ({ matchedCount: engine.update(name, filter, sent, true).length }));
      }
      let modifiedCount = 0;
      const parts = ids.map((_id) => () => {
        modifiedCount += engine.update(name, { _id }, sent, false, { isChangedOnly: true }).length;
      });
      return send(`${name}.updateMany ${ids.join(" ")}`, () => ({ modifiedCount }), parts);
    },
    findOneAndUpdate(filter: Filter, update: Update, options?: UpdateOptions) {
      const sent = copyOf(update);
      return command("findOneAndUpdate", filter, () => engine.update(name, filter, sent, false, options)[0] ?? null);
    },
    replaceOne(filter: Filter, replacement: Omit<Doc, "_id">) {
      const sent = copyOf(replacement);
      return command("replaceOne", filter, () => ({ matchedCount: engine.replace(name, filter, sent) }));
    },
    deleteOne: (filter: Filter) =>
      command("deleteOne", filter, () => ({ deletedCount: engine.remove(name, filter, false) })),
    deleteMany: (filter: Filter) =>
      command("deleteMany", filter, () => ({ deletedCount: engine.remove(name, filter, true) })),
    bulkWrite: (deletions: { deleteOne: { filter: Filter } }[]) =>
      command("bulkWrite", deletions[0]!.deleteOne.filter, () => {
        for (const { deleteOne } of deletions) engine.remove(name, deleteOne.filter, false);
      }),
    /** One stage that matches, and one that sets a field to the database's time: what the storage asks for. */
    aggregate: ([{ $match }, { $set }]: [{ $match: Filter }, { $set: Record<string, string> }]) => ({
      toArray: () =>
        command("aggregate", $match, () => {
          const now = new Date();
          const set = Object.fromEntries(Object.keys($set).map((field) => [field, now]));
          return engine.find(name, $match, {}).map((doc) => ({ ...doc, ...set }));
        }),
    }),
    watch([{ $match }]: [{ $match: { "documentKey._id": string } }]) {
      const id = $match["documentKey._id"];
      return changeStream((changed) => watch(name, id, () => changed(engine.at(name, id))));
    },
  };
}

/** A change stream on one document, which tells what it is then, or, now and then, only that it has changed. */
function changeStream(listen: (changed: (doc: Doc | undefined) => void) => () => void) {
  const changes: object[] = [];
  let told = 0;
  let wake: (() => void) | undefined;
  const leave = listen((doc) => {
    told += 1;
    const updatedFields = told % 3 === 0 ? {} : copyOf(doc ?? {});
    changes.push({ operationType: "update", updateDescription: { updatedFields } });
    wake?.();
  });
  return {
    once: (_event: "resumeTokenChanged", told: () => void) => void setTimeout(told, 2),
    async next(): Promise<object> {
      if (changes.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return changes.shift()!;
    },
    async close(): Promise<void> {
      leave();
    },
  };
}

const idOf = (filter: unknown): string => {
  const { _id } = filter as { _id?: unknown };
  return typeof _id === "string" ? _id : "";
};
