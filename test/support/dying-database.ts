import type { Collection, Db } from "mongodb";

const writeMethods: ReadonlySet<PropertyKey> = new Set([
  ...["insertOne", "insertMany", "updateOne", "updateMany", "replaceOne", "deleteOne", "deleteMany"],
  ...["findOneAndUpdate", "bulkWrite"],
]);

export class Died extends Error {}

/** A database as a process has it that dies before or after its so manieth write: nothing that it asks from then on is done. */
export function dyingDatabase(db: Db, dies: { readonly when: "before" | "after"; readonly write: number }) {
  let writes = 0;
  let dead = false;

  async function write(what: () => Promise<unknown>): Promise<unknown> {
    writes += 1;
    const isLast = writes === dies.write;
    if (isLast && dies.when === "before") dead = true;
    if (dead) throw new Died();
    const answer = await what();
    if (isLast) dead = true;
    if (dead) throw new Died();
    return answer;
  }

  return {
    db: proxied(db, (method, call) => {
      if (writeMethods.has(method)) return write(call as () => Promise<unknown>);
      if (dead) throw new Died();
      return call();
    }),
    /** Whether it has come to that write. */
    hasDied: () => dead,
  };
}

/** A database with one method of its collections changed. */
export const changed = (db: Db, name: string, how: (call: () => unknown) => unknown): Db =>
  proxied(db, (method, call) => (method === name ? how(call) : call()));

function proxied(db: Db, ask: (method: PropertyKey, call: () => unknown) => unknown): Db {
  const collection = (name: string, options?: object): Collection =>
    new Proxy(db.collection(name, options), {
      get(target, method) {
        const value = Reflect.get(target, method);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => ask(method, () => Reflect.apply(value, target, args));
      },
    });
  return new Proxy(db, {
    get(target, name) {
      if (name === "collection") return collection;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
