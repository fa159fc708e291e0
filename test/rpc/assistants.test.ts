import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AssistantService,
  createGrpcJsClient,
  errorReason,
  fromPayload,
  IfExists,
  PayloadFormat,
  toPayload,
} from "../../src/client/index.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump } from "../support/dump.ts";
import { bufCurl } from "../support/net-buf.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let assistants: TestApp["client"]["assistants"];
/** Holds an update back after it has read what it changes. */
let hold: Barrier | undefined;
beforeAll(async () => {
  app = await startTestApp({
    config: { configFile: assistantGraphs },
    decorate: ({ stores, ...parts }) => ({
      ...parts,
      stores: { ...stores, assistants: around(stores.assistants, "replace", { before: () => hold?.pass() }) },
    }),
  });
  assistants = app.client.assistants;
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

const get = async (assistantId: string) => (await assistants.getAssistant({ assistantId })).assistant!;
const create = async (more: Parameters<typeof assistants.createAssistant>[0] = {}) =>
  (await assistants.createAssistant({ graphId: "gated", ...more })).assistant!;

describe("a graph's own assistant", () => {
  it("is found by the graph's name and by its id, also when the graph is broken, and is not stored", async () => {
    const own = await get("gated");
    expect(own).toMatchObject({
      assistantId: graphAssistantId("gated"),
      graphId: "gated",
      name: "gated",
      description: "Steps at gates.",
      version: 1,
      system: true,
      metadata: { created_by: "system" },
    });
    expect([own.config, own.context, own.createdAt, own.updatedAt]).toEqual([...Array(4)]);
    expect(await get(own.assistantId.toUpperCase())).toEqual(own);
    expect(await get("broken")).toMatchObject({
      assistantId: graphAssistantId("broken"),
      description: "",
      system: true,
    });
    expect(await app.db.collection("assistants").countDocuments({ system: true })).toBe(0);
  });

  it("has the id that LangGraph's servers give it", async () => {
    // Of the graph "agent", as LangGraph's in-memory server names it.
    expect(graphAssistantId("agent")).toBe("fe096781-5601-53d2-b2f6-0d3403f7e9ca");
  });

  it("can be neither created, changed nor deleted", async () => {
    const assistantId = graphAssistantId("gated");
    const before = await dump(app.db);
    expect(await failure(create({ assistantId }))).toEqual(["AlreadyExists", "ASSISTANT_EXISTS"]);
    expect(await create({ assistantId, name: "mine", ifExists: IfExists.DO_NOTHING })).toEqual(await get("gated"));
    const readOnly = ["FailedPrecondition", "ASSISTANT_READ_ONLY"];
    expect(await failure(assistants.updateAssistant({ assistantId, name: "mine" }))).toEqual(readOnly);
    expect(await failure(assistants.deleteAssistant({ assistantId }))).toEqual(readOnly);
    expect(await dump(app.db)).toEqual(before);
  });
});

describe("CreateAssistant", () => {
  it("configures an assistant with an id of the server's, or of the client's", async () => {
    const config = { tags: ["a", "b"], recursionLimit: 7, configurable: toPayload({ tone: "warm", deep: { n: [1] } }) };
    const context = toPayload({ user: "u1" });
    const metadata = { team: "t", "a.b": [null, { $set: true }] };
    const said = { name: "Mine", description: "For me.", metadata };
    const own = await create({ ...said, config, context });
    expect(own).toMatchObject({ graphId: "gated", ...said, version: 1, system: false });
    expect(own.createdAt).toEqual(own.updatedAt);
    expect(own.config).toMatchObject({ tags: ["a", "b"], recursionLimit: 7 });
    expect(fromPayload(own.config!.configurable)).toEqual({ tone: "warm", deep: { n: [1] } });
    expect(fromPayload(own.context)).toEqual({ user: "u1" });

    const assistantId = randomUUID();
    const chosen = await create({ assistantId: assistantId.toUpperCase() });
    expect(chosen).toMatchObject({ assistantId, name: "gated", description: "", metadata: {} });
    expect([chosen.config, chosen.context]).toEqual([undefined, undefined]);
    const read = { assistantId: own.assistantId, payloadFormat: PayloadFormat.JSON };
    expect((await assistants.getAssistant(read)).assistant).toEqual(own);
    expect(await get(assistantId)).toEqual(chosen);
  });

  it("can be on a broken graph, which may be mended by the next start", async () => {
    expect(await create({ graphId: "broken" })).toMatchObject({ graphId: "broken", version: 1 });
  });

  it("refuses an id that is taken, unless the one that is there will do", async () => {
    const first = await create({ assistantId: randomUUID(), name: "first" });
    const again = (ifExists: IfExists) => create({ assistantId: first.assistantId, name: "second", ifExists });
    for (const ifExists of [IfExists.UNSPECIFIED, IfExists.RAISE]) {
      expect(await failure(again(ifExists))).toEqual(["AlreadyExists", "ASSISTANT_EXISTS"]);
    }
    expect(await again(IfExists.DO_NOTHING)).toEqual(first);
    expect(await get(first.assistantId)).toEqual(first);
  });

  it("has one winner among many at once", async () => {
    const assistantId = randomUUID();
    const calls = Array.from({ length: 8 }, (_, n) => create({ assistantId, name: `no. ${n}` }));
    const created = (await Promise.allSettled(calls)).filter((one) => one.status === "fulfilled");
    expect(created).toHaveLength(1);
    expect(await get(assistantId)).toEqual(created[0]!.value);
    const shared = randomUUID();
    const polite = Array.from({ length: 8 }, (_, n) =>
      create({ assistantId: shared, name: `no. ${n}`, ifExists: IfExists.DO_NOTHING }),
    );
    const answers = await Promise.all(polite);
    expect(new Set(answers.map(({ name }) => name))).toEqual(new Set([(await get(shared)).name]));
  });
});

describe("UpdateAssistant", () => {
  const everything = {
    name: "before",
    description: "d",
    metadata: { a: 1, b: { c: 2 } },
    config: { tags: ["t"], recursionLimit: 9 },
    context: toPayload({ x: 1, y: 2 }),
  };

  it.each([
    ["nothing", {}, {}],
    ["the graph", { graphId: "mirror" }, { graphId: "mirror" }],
    ["the name", { name: "after" }, { name: "after" }],
    ["the description, to none", { description: "" }, { description: "" }],
    ["the whole configuration", { config: { tags: ["u"] } }, { config: { tags: ["u"], recursionLimit: 0 } }],
    ["the configuration, to none", { config: {} }, { config: { tags: [], recursionLimit: 0 } }],
    ["metadata, merged at the top", { metadata: { b: { d: 3 }, e: 4 } }, { metadata: { a: 1, b: { d: 3 }, e: 4 } }],
    ["metadata, some of it removed", { removeMetadata: ["b", "none"] }, { metadata: { a: 1 } }],
    ["metadata, both", { metadata: { a: null }, removeMetadata: ["b"] }, { metadata: { a: null } }],
  ])("changes %s and leaves the rest", async (_, change, expected) => {
    const before = await create(everything);
    const answer = await assistants.updateAssistant({ assistantId: before.assistantId.toUpperCase(), ...change });
    const after = answer.assistant!;
    const { $typeName, config, context, updatedAt, ...rest } = before;
    expect(after).toMatchObject({ ...rest, config: { tags: ["t"], recursionLimit: 9 }, ...expected, version: 2 });
    if ("metadata" in expected) expect(after.metadata).toEqual(expected.metadata);
    if ("config" in expected) expect(after.config!.tags).toEqual(expected.config!.tags);
    expect(fromPayload(after.context)).toEqual({ x: 1, y: 2 });
    expect(await get(before.assistantId)).toEqual(after);
  });

  it("takes a new context for the whole one", async () => {
    const { assistantId } = await create(everything);
    const context = toPayload({ z: 3 });
    await assistants.updateAssistant({ assistantId, context });
    expect(fromPayload((await get(assistantId)).context)).toEqual({ z: 3 });
  });

  it("loses none of many at once", async () => {
    const { assistantId } = await create();
    const calls = Array.from({ length: 8 }, (_, n) =>
      assistants.updateAssistant({ assistantId, metadata: { [`field${n}`]: n } }),
    );
    const versions = (await Promise.all(calls)).map(({ assistant }) => assistant!.version);
    expect(versions.sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    const after = await get(assistantId);
    expect([after.version, Object.keys(after.metadata ?? {}).length]).toEqual([9, 8]);
  });

  it("does not revive one that was deleted, nor mix with one that has taken its id", async () => {
    const { assistantId } = await create({ metadata: { old: true } });
    hold = createBarrier();
    const late = assistants.updateAssistant({ assistantId, name: "late" });
    await hold.reached;
    await assistants.deleteAssistant({ assistantId });
    hold.open();
    expect(await failure(late)).toEqual(["NotFound", "ASSISTANT_NOT_FOUND"]);

    await create({ assistantId, metadata: { old: true } });
    hold = createBarrier();
    const later = assistants.updateAssistant({ assistantId, name: "later" });
    await hold.reached;
    await assistants.deleteAssistant({ assistantId });
    await create({ assistantId, metadata: { fresh: true } });
    hold.open();
    await later;
    hold = undefined;
    expect(await get(assistantId)).toMatchObject({ name: "later", version: 2 });
    expect((await get(assistantId)).metadata).toEqual({ fresh: true });
  });
});

describe("DeleteAssistant", () => {
  it("removes it, once", async () => {
    const { assistantId } = await create();
    await assistants.deleteAssistant({ assistantId: assistantId.toUpperCase() });
    const gone = ["NotFound", "ASSISTANT_NOT_FOUND"];
    expect(await failure(get(assistantId))).toEqual(gone);
    expect(await failure(assistants.deleteAssistant({ assistantId }))).toEqual(gone);
    expect(await failure(assistants.updateAssistant({ assistantId, name: "x" }))).toEqual(gone);
    expect(await app.db.collection("assistants").countDocuments({ assistant_id: assistantId })).toBe(0);
  });
});

it("configured assistants outlive the server", async () => {
  const before = await create({ name: "lasting", context: toPayload({ a: 1 }) });
  app = await app.restart();
  assistants = app.client.assistants;
  const read = { assistantId: before.assistantId, payloadFormat: PayloadFormat.JSON };
  expect((await assistants.getAssistant(read)).assistant).toEqual(before);
});

describe("other clients", () => {
  it("grpc-js", async () => {
    const client = createGrpcJsClient(AssistantService, new URL(app.app.url).host);
    try {
      const { assistant } = await client.createAssistant({ graphId: "mirror", name: "by grpc-js" });
      const { assistantId } = assistant!;
      expect((await client.getAssistant({ assistantId })).assistant).toEqual(assistant);
      const filter = { name: "GRPC-js" };
      expect((await client.searchAssistants({ filter })).assistants).toEqual([assistant]);
      expect((await client.countAssistants({ filter })).count).toBe(1n);
      const missing = await client.getAssistant({ assistantId: randomUUID() }).catch((error) => error);
      expect([missing.code, errorReason(missing)]).toEqual([5, "ASSISTANT_NOT_FOUND"]);
    } finally {
      client.close();
    }
  });

  it("buf curl, which finds the service by reflection, and its health", async () => {
    const h2 = "--http2-prior-knowledge";
    const curl = async (rpc: string, data: object) =>
      JSON.parse((await bufCurl([h2, "-d", JSON.stringify(data), `${app.app.url}/${rpc}`])).stdout);
    const listed = await bufCurl([h2, "--list-methods", app.app.url]);
    for (const { name } of AssistantService.methods) {
      expect(listed.stdout.split("\n")).toContain(`reins.v1.AssistantService/${name}`);
    }
    const health = await curl("grpc.health.v1.Health/Check", { service: AssistantService.typeName });
    expect(health).toEqual({ status: "SERVING" });
    const said = { graphId: "mirror", name: "by curl", context: { value: { tone: "dry" } }, metadata: { n: 1 } };
    const { assistant } = await curl("reins.v1.AssistantService/CreateAssistant", said);
    expect(assistant).toMatchObject({ ...said, version: 1 });
    const { assistantId } = assistant;
    expect((await curl("reins.v1.AssistantService/GetAssistant", { assistantId })).assistant).toEqual(assistant);
  });
});
