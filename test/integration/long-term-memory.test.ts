import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import type { Act } from "../agents/remembering.ts";
import { createItemHolder } from "../support/item-holder.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const configFile = fileURLToPath(new URL("../agents/remembering.json", import.meta.url));
const holder = createItemHolder();
let app: TestApp;
const kits: RunKit[] = [];

beforeAll(async () => {
  app = await startTestApp({ config: { configFile, graceMs: 500, maxItemBytes: 1024 }, decorate: holder.decorate });
});
afterEach(async () => {
  for (const { gates } of kits.splice(0)) gates.remove();
  await app.db.collection("items").deleteMany({});
});
afterAll(() => app.close());

async function newKit(graph = "remembering"): Promise<RunKit> {
  const kit = await createRunKit(app, graph);
  kits.push(kit);
  return kit;
}

/** The answers of a run that does so. */
async function does(kit: RunKit, ...acts: Act[]): Promise<unknown[]> {
  const { runId } = await kit.start({ acts });
  expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS });
  return (await kit.state()).values!.answers as unknown[];
}

const stored = async () =>
  (await app.db.collection("items").find({}).sort({ path: 1, key: 1 }).toArray()).map(
    ({ path, key, value }) => `${path}${key} ${value}`,
  );

describe("a graph's store", () => {
  it("keeps items beyond the thread, for every run", async () => {
    const first = await newKit();
    const n = ["users", "ada"];
    const answers = await does(
      first,
      { do: "put", namespace: n, key: "likes", value: { what: "tea", score: 3 } },
      { do: "put", namespace: [...n, "notes"], key: "1", value: { text: "note", score: 5 } },
      { do: "get", namespace: n, key: "likes" },
      { do: "get", namespace: n, key: "absent" },
    );
    const likes = { namespace: n, key: "likes", value: { what: "tea", score: 3 } };
    expect(answers).toEqual([
      { ...likes, createdAt: expect.stringMatching(/^20.*Z$/), updatedAt: expect.any(String) },
      null,
    ]);
    const [found, filtered, page, namespaces, cut] = (await does(
      await newKit(),
      { do: "search", namespace: n },
      { do: "search", namespace: ["users"], options: { filter: { score: { $gt: 3 } }, query: "tea" } },
      { do: "search", namespace: [], options: { limit: 1, offset: 1 } },
      { do: "namespaces", options: { prefix: ["users"] } },
      { do: "namespaces", options: { suffix: ["notes"], maxDepth: 2 } },
      { do: "delete", namespace: n, key: "likes" },
    )) as [{ key: string }[], { key: string }[], { key: string }[], string[][], string[][]];
    expect(found.map(({ key }) => key).sort()).toEqual(["1", "likes"]);
    expect(filtered.map(({ key }) => key)).toEqual(["1"]);
    expect(page).toHaveLength(1);
    expect(namespaces).toEqual([n, [...n, "notes"]]);
    expect(cut).toEqual([n]);
    expect(await stored()).toEqual(['users.ada.notes.1 {"text":"note","score":5}']);
  });

  it.each(["own", "nested"])("takes the place of the one that a graph was compiled with (%s)", async (graph) => {
    await does(await newKit(graph), { do: "put", namespace: ["a"], key: "k", value: { graph } });
    expect(await stored()).toEqual([`a.k {"graph":"${graph}"}`]);
  });

  it("has what was put without waiting when the run is over", async () => {
    const put = (n: number): Act => ({ do: "put", namespace: ["a"], key: "k", value: { n }, quick: true });
    await does(await newKit(), put(1), put(2), put(3));
    expect(await stored()).toEqual(['a.k {"n":3}']);
  });

  it.each<[Act, string]>([
    [{ do: "put", namespace: ["a"], key: "k", value: { text: "x".repeat(2_000) } }, "at most 1024 are allowed"],
    [{ do: "put", namespace: ["a"], key: "k", value: [1] }, "value: must be an object"],
    [{ do: "put", namespace: ["a.b"], key: "k", value: {} }, "cannot contain periods"],
    [{ do: "put", namespace: ["langgraph"], key: "k", value: {} }, "langgraph"],
    [{ do: "search", namespace: ["a"], options: { filter: { a: { $where: 1 } } } }, "the operators are $eq"],
  ])("tells the node what cannot be: %j", async (act, sentence) => {
    const kit = await newKit();
    const { runId } = await kit.start({ acts: [act] });
    const run = await kit.join(runId);
    expect(run.status).toBe(RunStatus.ERROR);
    expect(run.error?.message).toContain(sentence);
    expect(await stored()).toEqual([]);
  });

  it("is not touched by a rollback", async () => {
    const kit = await newKit();
    const acts: Act[] = [
      { do: "put", namespace: ["a"], key: "k", value: { n: 1 } },
      { do: "gate", step: "a" },
    ];
    const { runId } = await kit.start({ acts });
    await kit.gates.started("a");
    const cancel = { threadId: kit.threadId, runId, action: CancelAction.ROLLBACK, wait: true };
    expect((await kit.client.runs.cancelRun(cancel)).outcome).toBe(CancelOutcome.STOPPED);
    expect((await kit.state()).values).toBeUndefined();
    expect(await stored()).toEqual(['a.k {"n":1}']);
  });

  it("is there for a node that tidies up when it is stopped", async () => {
    const kit = await newKit();
    const { runId } = await kit.start({ acts: [{ do: "tidy", step: "a", namespace: ["a"] }] });
    await kit.gates.started("a");
    const answer = await kit.client.runs.cancelRun({ threadId: kit.threadId, runId, wait: true });
    expect(answer.outcome).toBe(CancelOutcome.STOPPED);
    expect(await stored()).toEqual(['a.tidied {"aborted":true}']);
  });

  it("is there to read for the functions that an edit of the state calls", async () => {
    const kit = await newKit();
    await does(kit, { do: "put", namespace: ["edges"], key: "there", value: {} });
    const edit = (found: string) =>
      kit.client.threads.updateThreadState({ threadId: kit.threadId, values: toPayload({ found }), asNode: "act" });
    await edit("there");
    expect((await kit.state()).next).toEqual(["act"]);
    await edit("absent");
    expect((await kit.state()).next).toEqual([]);
    await expect(edit("put")).rejects.toThrow("Long-term memory is changed by runs only");
    expect(await stored()).toEqual(["edges.there {}"]);
  });

  it("is asked again by the next attempt when the process dies in the middle of a call", async () => {
    const kit = await newKit();
    const held = holder.hold();
    const acts: Act[] = [
      { do: "gate", step: "a" },
      { do: "put", namespace: ["a"], key: "k", value: { n: 1 } },
    ];
    kit.gates.open();
    const { runId } = await kit.start({ acts });
    const pid = await kit.gates.started("a");
    const { release } = await held;
    process.kill(pid, "SIGKILL");
    release();
    const run = await kit.join(runId);
    expect(run).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(kit.gates.pids("a")).toHaveLength(2);
    expect(await stored()).toEqual(['a.k {"n":1}']);
  });
});
