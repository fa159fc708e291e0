import * as checkpoint from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { createGraphStore } from "../../../src/worker/child/graph-store.ts";
import type { ItemAnswer, ItemOperation } from "../../../src/worker/protocol.ts";

function make(answer: (operation: ItemOperation) => ItemAnswer | Promise<ItemAnswer> = () => null) {
  const sent: ItemOperation[] = [];
  const store = createGraphStore(checkpoint, {
    batch(operations) {
      sent.push(...operations);
      return Promise.all(operations.map(async (one) => answer(one)));
    },
  });
  return { store, sent };
}

const at = new Date(1_000);

describe("a graph's store", () => {
  it("says LangGraph's operations in the protocol's words", async () => {
    const { store, sent } = make(({ kind }) => (kind === "search" || kind === "namespaces" ? [] : null));
    await store.put(["a", "b"], "k", { x: 1, gone: undefined, at }, ["x"]);
    await store.get(["a"], "k");
    await store.delete(["a"], "k");
    await store.search(["a"], { filter: { x: { $gt: 1 } }, limit: 3, offset: 1, query: "what" });
    await store.search([]);
    await store.listNamespaces({ prefix: ["a", "*"], suffix: ["z"], maxDepth: 2, limit: 5, offset: 1 });
    await store.listNamespaces();
    expect(sent).toEqual([
      { kind: "put", namespace: ["a", "b"], key: "k", value: '{"x":1,"at":"1970-01-01T00:00:01.000Z"}' },
      { kind: "get", namespace: ["a"], key: "k" },
      { kind: "delete", namespace: ["a"], key: "k" },
      { kind: "search", namespacePrefix: ["a"], filter: '{"x":{"$gt":1}}', limit: 3, offset: 1 },
      { kind: "search", namespacePrefix: [], limit: 10, offset: 0 },
      {
        kind: "namespaces",
        maxDepth: 2,
        limit: 5,
        offset: 1,
        match: [
          { at: "prefix", labels: ["a", "*"] },
          { at: "suffix", labels: ["z"] },
        ],
      },
      { kind: "namespaces", match: [], limit: 100, offset: 0 },
    ]);
  });

  it("answers what LangGraph's stores answer", async () => {
    const report = { namespace: ["a"], key: "k", value: '{"x":[1]}', createdAt: at, updatedAt: at };
    const item = { ...report, value: { x: [1] } };
    const { store } = make((operation) => {
      if (operation.kind === "namespaces") return [["a"]];
      if (operation.kind === "search") return [report];
      return operation.kind === "get" && operation.key === "k" ? report : null;
    });
    expect(await store.get(["a"], "k")).toEqual(item);
    expect(await store.get(["a"], "absent")).toBeNull();
    expect(await store.search(["a"])).toEqual([item]);
    expect(await store.listNamespaces()).toEqual([["a"]]);
    expect(await store.put(["a"], "k", {})).toBeUndefined();
    await expect(store.put([], "k", {})).rejects.toThrow(checkpoint.InvalidNamespaceError);
  });

  it("takes a value as it is at the call", async () => {
    const { store, sent } = make();
    const value = { n: 1 };
    const putting = store.batch([{ namespace: ["a"], key: "k", value }]);
    value.n = 2;
    await putting;
    expect(sent).toMatchObject([{ value: '{"n":1}' }]);
  });

  it("is quiet when its calls are answered, and closed then", async () => {
    const gate = Promise.withResolvers<null>();
    const { store } = make(() => gate.promise);
    const putting = store.put(["a"], "k", {});
    let quiet = false;
    const waiting = store.quiet().then(() => {
      quiet = true;
    });
    await new Promise(setImmediate);
    expect(quiet).toBe(false);
    gate.resolve(null);
    await Promise.all([putting, waiting]);
    store.close();
    await expect(store.get(["a"], "k")).rejects.toThrow("its store is closed");
  });
});

describe("LangGraph's queue before it", () => {
  it("hands each operation on at once, also when it was stopped, and alone", async () => {
    const { store, sent } = make((operation) => {
      if (operation.kind === "put" && operation.key === "bad") throw new Error("no");
      return operation.kind === "namespaces" ? [["a"]] : null;
    });
    const queue = new checkpoint.AsyncBatchedStore(store);
    queue.start();
    expect(queue.isRunning).toBe(true);
    const bad = queue.put(["a"], "bad", {});
    const good = queue.put(["a"], "good", {});
    expect(sent).toHaveLength(2);
    await expect(bad).rejects.toThrow("no");
    await good;
    expect(await queue.listNamespaces()).toEqual([["a"]]);
    await queue.stop();
    expect(queue.isRunning).toBe(false);
    expect(await queue.get(["a"], "k")).toBeNull();
  });

  it("is left as it is for other stores", async () => {
    make();
    const queue = new checkpoint.AsyncBatchedStore(new checkpoint.InMemoryStore());
    queue.start();
    await queue.put(["a"], "k", { n: 1 });
    expect((await queue.get(["a"], "k"))?.value).toEqual({ n: 1 });
    await expect(queue.batch([])).rejects.toThrow("not implemented");
    await queue.stop();
  });
});
