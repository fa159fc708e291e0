import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comparableAnswer, type Told } from "../support/ask-as.ts";
import { type Ask, namesOf, newMine, routeAsks, rpcAsks, storedTexts } from "../support/foreign-asks.ts";
import { type FurnishedOwner, furnish, type Names, newNames } from "../support/furnished-owner.ts";
import { until } from "../support/gates.ts";
import { clientOf, newOwner } from "../support/guarded-app.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const configFile = fileURLToPath(new URL("../agents/auth/anybody.json", import.meta.url));
let app: TestApp;
let hers: FurnishedOwner;
/** All that is Alice's, as it is stored. */
let before: string[];

beforeAll(async () => {
  app = await startTestApp({ config: { configFile } });
  const alice = newOwner("alice");
  hers = await furnish(clientOf(app, alice), app.app.url, alice);
  await until(async () => (await app.db.collection("runs").countDocuments({ status: "running" })) === 1);
  before = await storedTexts(app.db);
  expect(before.length).toBeGreaterThan(10);
});
afterAll(async () => {
  hers.kit.gates.remove();
  await app.close();
});

async function toldBob(ask: Ask, names: Names): Promise<Told> {
  const bob = newOwner("bob");
  const mine = await newMine(clientOf(app, bob));
  const { status, text } = comparableAnswer(await ask(app.app.url, bob, names, mine), names, mine);
  return { status, text: text.replaceAll(bob, "bob") };
}

/** Of an id that a client may choose: users of one file share what is taken, and nothing else of it is told. */
const taken: readonly unknown[] = [Code.AlreadyExists, Code.NotFound, 404, 409];
const answered: readonly unknown[] = ["OK", 200];
/** A copy is refused for its new id before it is for the old one's run. */
const isCopyToTaken = ({ status, text }: Told) =>
  status === Code.AlreadyExists && text.includes("new_thread_id: there is already a thread <threadId>");

describe("what handlers hide from a user looks like what does not exist, and stays as it is", () => {
  it.each([...rpcAsks, ...routeAsks])("%s", async (_, asks) => {
    for (const [place, ask] of asks.entries()) {
      const [unknown, foreign] = await Promise.all([toldBob(ask, newNames()), toldBob(ask, namesOf(hers))]);
      const isTaken = taken.includes(foreign.status) && answered.includes(unknown.status);
      if (isTaken || isCopyToTaken(foreign)) expect(foreign.text).not.toContain("<mark>");
      else expect([place, foreign]).toEqual([place, unknown]);
    }
    expect(await storedTexts(app.db)).toEqual(expect.arrayContaining(before));
  });
});
