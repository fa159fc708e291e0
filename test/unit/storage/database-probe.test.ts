import type { Db } from "mongodb";
import { expect, test } from "vitest";
import { createDatabaseProbe } from "../../../src/storage/database-probe.ts";

/** A database whose answers come when the test says so. */
function slowDatabase() {
  const asked: PromiseWithResolvers<null>[] = [];
  const findOne = () => {
    const one = Promise.withResolvers<null>();
    asked.push(one);
    return one.promise;
  };
  return { asked, db: { collection: () => ({ findOne }) } as unknown as Db };
}

test("however many ask, the database is asked once at a time", async () => {
  const { asked, db } = slowDatabase();
  const probe = createDatabaseProbe(db);
  const first = [probe(), probe(), probe()];
  expect(asked).toHaveLength(1);
  asked[0]!.resolve(null);
  await Promise.all(first);

  const second = [probe(), probe()];
  expect(asked).toHaveLength(2);
  asked[1]!.reject(new Error("away"));
  expect((await Promise.allSettled(second)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);

  const third = probe();
  expect(asked).toHaveLength(3);
  asked[2]!.resolve(null);
  await third;
});
