import type { Db } from "mongodb";

/** Where a text occurs in what is stored, in any field or value: each document as `collection/_id`, in order. */
export async function traces(db: Db, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name } of await db.listCollections().toArray()) {
    const [ids, raws] = await Promise.all([
      db
        .collection(name)
        .find({}, { projection: { _id: 1 }, sort: { _id: 1 } })
        .toArray(),
      db
        .collection(name)
        .find({}, { raw: true, sort: { _id: 1 } })
        .toArray(),
    ]);
    raws.forEach((raw, i) => {
      if ((raw as unknown as Buffer).includes(text)) found.push(`${name}/${ids[i]!._id}`);
    });
  }
  return found.sort();
}
