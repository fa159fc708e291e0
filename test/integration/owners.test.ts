import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { routeNeeds, rpcNeeds } from "../../src/access/needs.ts";
import { type ReinsClient, toPayload } from "../../src/client/index.ts";
import { comparableAnswer, type Told } from "../support/ask-as.ts";
import { type Ask, namesOf, newMine, routeAsks, rpcAsks, storedTexts } from "../support/foreign-asks.ts";
import { type FurnishedOwner, furnish, type Names, newNames } from "../support/furnished-owner.ts";
import { createGates, until } from "../support/gates.ts";
import { clientOf, type GuardedApp, newOwner, startGuardedApp } from "../support/guarded-app.ts";
import { ownerlessRoutes, routeCases, servedRoutes } from "../support/route-cases.ts";
import { type Mine, rpcCases } from "../support/rpc-cases.ts";

let app: GuardedApp;
/** Alice's key, and two sets of what she has: calls of her own use them up. */
let key: string;
let hers: FurnishedOwner;
let others: FurnishedOwner;
let before: string[];

beforeAll(async () => {
  app = await startGuardedApp({ cancelLimit: 1 });
  key = await app.keyOf(newOwner("alice"));
  const client = clientOf(app, key);
  hers = await furnish(client, app.app.url, key);
  others = await furnish(client, app.app.url, key);
  // The records of runs follow their lanes.
  await until(async () => (await app.db.collection("runs").countDocuments({ status: "running" })) === 2);
  before = await allButBobs();
});
afterAll(async () => {
  for (const { kit } of [hers, others]) kit.gates.remove();
  await app.close();
});

/** What is stored, but for what bears a name of Bob's. */
const allButBobs = async () => (await storedTexts(app.db)).filter((text) => !text.includes("bob-"));

/** Somebody whom nobody has seen yet, with a thread and a run that waits for its time. */
async function newBob(): Promise<{ key: string; mine: Mine }> {
  const key = await app.keyOf(newOwner("bob"));
  return { key, mine: await newMine(clientOf(app, key)) };
}

/** What Bob is told of these names. */
async function toldBob(ask: Ask, names: Names): Promise<Told> {
  const { key, mine } = await newBob();
  return comparableAnswer(await ask(app.app.url, key, names, mine), names, mine);
}

async function looksUnknown(asks: readonly Ask[]): Promise<void> {
  for (const [place, ask] of asks.entries()) {
    const [unknown, foreign] = await Promise.all([toldBob(ask, newNames()), toldBob(ask, namesOf(hers))]);
    // A request that is not in order would be refused whatever it names.
    expect([Code.InvalidArgument, 422]).not.toContain(unknown.status);
    expect([place, foreign]).toEqual([place, unknown]);
  }
  // And nothing has come of it.
  expect(await allButBobs()).toEqual(before);
}

describe("the cases", () => {
  it("leave no RPC out", () => {
    const all = Object.keys(rpcNeeds).filter((name) => !/^(Health|ServerReflection)\//.test(name));
    expect([...rpcCases.keys()].toSorted()).toEqual(all.toSorted());
  });
  it("leave no route out", () => {
    expect([...Object.keys(routeCases), ...ownerlessRoutes].toSorted()).toEqual(servedRoutes().toSorted());
  });
});

describe("what is somebody else's looks like what does not exist, and stays as it is", () => {
  it.each([...rpcAsks, ...routeAsks])("%s", (_, asks) => looksUnknown(asks));
});

/** Their answers are the same whatever there is. */
const silent = ["PUT /store/items", "DELETE /store/items", "POST /threads/prune"];

/** What is read comes before what uses things up, and a run goes before its thread. */
const order: readonly unknown[] = ["read", "create", "cancel", "delete", "admin"];
const inOrder = (needs: Readonly<Record<string, unknown>>) => (one: string, other: string) =>
  order.indexOf(needs[one]) - order.indexOf(needs[other]) ||
  Number(/delete/i.test(one)) - Number(/delete/i.test(other)) ||
  Number(/run/i.test(other)) - Number(/run/i.test(one));

async function isTold(ask: Ask, names: Names): Promise<void> {
  const [unknown, mine] = [newNames(), await newMine(clientOf(app, key))];
  const { url } = app.app;
  const told = comparableAnswer(await ask(url, key, unknown, mine), unknown, mine);
  expect(comparableAnswer(await ask(url, key, names, mine), names, mine)).not.toEqual(told);
}

/** Without this the requests of the above might be refused for other reasons. */
describe("what is one's own is another matter", () => {
  it.each([...rpcAsks.keys()].toSorted(inOrder(rpcNeeds)))("%s", (name) =>
    isTold(rpcAsks.get(name)![0]!, namesOf(hers)),
  );
  const routes = [...routeAsks.keys()].filter((route) => !silent.includes(route));
  it.each(routes.toSorted(inOrder(routeNeeds)))("%s", (route) => isTold(routeAsks.get(route)![0]!, namesOf(others)));
});

describe("who has the same ids", () => {
  it("has something else: a cancel or a deletion of the one is none of the other", async () => {
    const [alice, bob] = await Promise.all([app.keyOf(newOwner("alice")), app.keyOf(newOwner("bob"))]);
    const theirs = await furnish(clientOf(app, alice), app.app.url, alice);
    const { threadId, live: runId, kit } = theirs;
    const { threads, runs } = clientOf(app, bob);
    await threads.createThread({ threadId });
    const gates = createGates();
    const spec = { assistantId: "gated", input: toPayload({ dir: gates.dir, steps: ["b"] }) };
    await runs.createRun({ threadId, runId, spec });
    await gates.started("b");
    const { run } = await runs.cancelRun({ threadId, runId, wait: true });
    expect(run).toMatchObject({ status: RunStatus.INTERRUPTED });
    expect((await kit.get(runId)).status).toBe(RunStatus.RUNNING);
    await runs.deleteRun({ threadId, runId });
    await threads.deleteThread({ threadId });
    expect((await kit.get(runId)).status).toBe(RunStatus.RUNNING);
    expect(gates.isDone("b")).toBe(false);
    kit.gates.open();
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS });
    for (const one of [gates, kit.gates]) one.remove();
  });
});

describe("a page token of another", () => {
  const lists: [string, (client: ReinsClient, page: { pageSize: number; pageToken?: string }) => Promise<object>][] = [
    ["threads", ({ threads }, page) => threads.searchThreads(page)],
    ["runs", ({ runs }, page) => runs.listRuns(page)],
    [
      "live runs",
      ({ runs }, { pageToken }) => {
        const target = { case: "filter" as const, value: { status: LiveRunStatus.ALL } };
        return runs.cancelRuns({ target, pageToken, validateOnly: true });
      },
    ],
    ["assistants", ({ assistants }, page) => assistants.searchAssistants({ ...page, filter: { name: "hers" } })],
  ];

  it.each(lists)("is as good as one that nobody was given: %s", async (_, list) => {
    const alice = clientOf(app, await app.keyOf(newOwner("alice")));
    for (const n of [1, 2]) {
      const { threadId } = (await alice.threads.createThread({ metadata: { n } })).thread!;
      await alice.runs.createRun({ threadId, spec: { assistantId: "gated", after: { seconds: 3_600n } } });
      await alice.assistants.createAssistant({ graphId: "gated", name: "hers" });
    }
    const { nextPageToken: hersToo } = (await list(alice, { pageSize: 1 })) as { nextPageToken: string };
    await list(alice, { pageSize: 1, pageToken: hersToo });
    const bob = clientOf(app, (await newBob()).key);
    const told = (pageToken: string) =>
      list(bob, { pageSize: 1, pageToken }).catch((error: unknown) => ConnectError.from(error).message);
    expect(await told(hersToo)).toEqual(await told("nobody's"));
    expect(await told(hersToo)).toContain("page_token: must be");
  });
});

describe("an operator's key without an owner", () => {
  it("has what was stored before anybody was told apart, and nothing of anybody's", async () => {
    const operator = clientOf(app, await app.keyOf(""));
    const open = await app.start({ apiKeys: false });
    try {
      const { threadId } = (await open.client.threads.createThread({})).thread!;
      expect((await operator.threads.searchThreads({})).threads.map((one) => one.threadId)).toEqual([threadId]);
      const { threadId: hers, runId } = await newMine(clientOf(app, key));
      const { owner } = (await app.db.collection("threads").findOne({ thread_id: hers }))!;
      for (const client of [operator, open.client]) {
        expect((await client.runs.listRuns({})).runs).toEqual([]);
        const notFound = { code: Code.NotFound };
        await expect(client.threads.getThread({ threadId: hers })).rejects.toMatchObject(notFound);
        await expect(client.runs.cancelRun({ threadId: hers, runId })).rejects.toMatchObject(notFound);
        // As it is stored.
        const assistantId = `${owner}/${others.assistantId}`;
        await expect(client.assistants.getAssistant({ assistantId })).rejects.toMatchObject(notFound);
        const created = client.runs.createRun({ threadId, spec: { assistantId } });
        await expect(created).rejects.toMatchObject({ code: Code.InvalidArgument });
      }
      const bob = clientOf(app, await app.keyOf(newOwner("bob")));
      expect((await bob.threads.searchThreads({})).threads).toEqual([]);
    } finally {
      await open.app.stop();
    }
  });
});
