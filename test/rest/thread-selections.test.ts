import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestClient } from "../support/rest-kit.ts";
import { stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let rest: RestClient;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
  rest = createRestClient(app.app.url);
});
afterAll(() => app.close());

describe("threads", () => {
  it("are left out by what is known of them", async () => {
    const mark = randomUUID();
    const create = async (metadata: object) =>
      (await rest.post("/threads", { metadata: { mark, ...metadata } })).body.thread_id as string;
    const [plain, hidden, old] = [
      await create({}),
      await create({ hidden: true, of: { a: 1, b: 2 } }),
      await create({ of: { a: 1 } }),
    ];
    const ran = await createRestKit(app.app.url);
    ran.gates.open();
    await rest.patch(ran.thread, { metadata: { mark } });
    await rest.post(`${ran.thread}/runs/wait`, ran.body({ steps: [] }));
    const all = [ran.threadId, old, hidden, plain];
    for (const [excluded, left] of [
      [{ hidden: true }, [ran.threadId, old, plain]],
      [{ hidden: false }, all],
      [{ of: { a: 1 } }, [ran.threadId, plain]],
      [{ of: { a: 1, b: 2 } }, [ran.threadId, old, plain]],
      [
        [{ hidden: true }, { of: { a: 1 } }],
        [ran.threadId, plain],
      ],
      [{ graph_id: "gated" }, [old, hidden, plain]],
      [{ graph_id: "gated", hidden: true }, all],
      [{ mark }, []],
    ] as const) {
      for (const sort_by of ["created_at", "updated_at", "thread_id", "status"]) {
        const body = { metadata: { mark }, exclude_metadata: excluded, sort_by, select: ["thread_id"] };
        const found = (await rest.post("/threads/search", body)).body.map(
          (one: { thread_id: string }) => one.thread_id,
        );
        expect([excluded, sort_by, found.toSorted()]).toEqual([excluded, sort_by, left.toSorted()]);
      }
      const filter = { metadata: { mark }, exclude_metadata: excluded };
      expect((await rest.post("/threads/count", filter)).body).toBe(left.length);
    }
    // Without anything else to find by, and in pages.
    const page = await rest.post("/threads/search", { exclude_metadata: { mark }, limit: 1000 });
    expect(page.body.filter(({ metadata }: { metadata: object }) => JSON.stringify(metadata).includes(mark))).toEqual(
      [],
    );
    for (const bad of [{}, [], [{}], "hidden", { graph_id: 1 }]) {
      expect((await rest.post("/threads/search", { exclude_metadata: bad })).status).toBe(422);
      expect((await rest.post("/threads/count", { exclude_metadata: bad })).status).toBe(422);
    }
    ran.gates.remove();
  });

  it("are found with parts of what they hold", async () => {
    const kit = await createRestKit(app.app.url, "tree");
    kit.gates.open();
    await rest.patch(kit.thread, { metadata: { deep: [{ "a-b": [1, 2] }] } });
    const { body: values } = await rest.post(`${kit.thread}/runs/wait`, kit.body({ asks: true }));
    const thread = await kit.current();
    const [task] = Object.keys(thread.interrupts);
    const paths = {
      all: "values",
      first: "values.path[0]",
      last: "metadata.deep[-1].a-b[-1]",
      asked: `interrupts.${task}[0].value.question`,
      settings: "config",
      beyond: "values.path[7]",
      nowhere: "values.constructor.name",
      into: "values.dir[0]",
    };
    const search = (body: object) => rest.post("/threads/search", { ids: [kit.threadId], ...body });
    const extracted = {
      all: thread.values,
      first: values.path?.[0] ?? null,
      last: 2,
      asked: "inside",
      settings: {},
      beyond: null,
      nowhere: null,
      into: null,
    };
    expect((await search({ extract: paths })).body).toEqual([{ ...thread, extracted }]);
    expect((await search({ extract: paths, select: ["thread_id"] })).body).toEqual([
      { thread_id: kit.threadId, extracted },
    ]);
    expect((await search({ extract: {} })).body).toEqual([thread]);
    const many = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`a${i}`, "values"]));
    const eleven = [
      many,
      { "a-b": "values" },
      { status: "values" },
      { a: "status" },
      { a: "values[x]" },
      { a: "" },
      { a: 1 },
    ];
    for (const extract of [...eleven, { a: "values..b" }, { a: "values.b." }, { extracted: "values" }]) {
      const { status, body } = await search({ extract });
      expect([extract, status, body.detail]).toEqual([extract, 422, expect.stringContaining("extract")]);
    }
    kit.gates.remove();
  });
});

describe("states", () => {
  it("come with some of their fields, and with some of the values", async () => {
    const kit = await createRestKit(app.app.url, "tree");
    kit.gates.open();
    await rest.post(`${kit.thread}/runs/wait`, kit.body({ asks: true }));
    const whole = (await rest.get(`${kit.thread}/state?subgraphs=true`)).body;
    const history = (await rest.get(`${kit.thread}/history`)).body;
    const picked = (state: Record<string, unknown>, select: readonly string[]) => {
      const fields = Object.entries(state).filter(([name]) => select.includes(name));
      const names = select.flatMap((one) => (one.startsWith("values.") ? [one.slice(7)] : []));
      const some = Object.entries(state.values as object).filter(([name]) => names.includes(name));
      const isWhole = names.length === 0 || select.includes("values");
      return { ...(!isWhole && { values: Object.fromEntries(some) }), ...Object.fromEntries(fields) };
    };
    for (const select of [
      ["values"],
      ["next", "created_at"],
      ["tasks"],
      ["values.dir"],
      ["values.dir", "values.nothing", "next"],
      ["values.dir", "values"],
      ["checkpoint", "parent_checkpoint", "metadata", "interrupts"],
    ]) {
      const query = new URLSearchParams([["subgraphs", "true"], ...select.map((one) => ["select", one])]);
      const of = { checkpoint: whole.checkpoint, subgraphs: true, select };
      const expected = picked(whole, select);
      expect((await rest.get(`${kit.thread}/state?${query}`)).body).toEqual(expected);
      expect((await rest.get(`${kit.thread}/state/${whole.checkpoint_id}?${query}`)).body).toEqual(expected);
      expect((await rest.post(`${kit.thread}/state/checkpoint`, of)).body).toEqual(expected);
      const states = history.map((state: Record<string, unknown>) => picked(state, select));
      expect((await rest.get(`${kit.thread}/history?${query}`)).body).toEqual(states);
      expect((await rest.post(`${kit.thread}/history`, { select })).body).toEqual(states);
    }
    for (const bad of ["vlues", "values.", "values.a.b", "tasks.id"]) {
      const answers = [
        await rest.get(`${kit.thread}/state?select=${bad}`),
        await rest.get(`${kit.thread}/state/${whole.checkpoint_id}?select=${bad}`),
        await rest.post(`${kit.thread}/state/checkpoint`, { checkpoint: whole.checkpoint, select: [bad] }),
        await rest.get(`${kit.thread}/history?select=${bad}`),
        await rest.post(`${kit.thread}/history`, { select: [bad] }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([422, 422, 422, 422, 422]);
    }
    kit.gates.remove();
  });
});
