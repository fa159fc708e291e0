import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { JsonPlusSerializer } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { createExactSerde } from "../../../src/checkpoints/exact-serde.ts";

const inner = new JsonPlusSerializer();
const serde = createExactSerde(inner);
const again = async (value: unknown) => {
  const [type, bytes] = (await serde.dumpsTyped(value)) as [string, Uint8Array];
  return serde.loadsTyped(type, bytes);
};
const unknown = { lc: 1, type: "constructor", id: ["no", "such", "Class"], kwargs: { n: 1 } };
const parsed = (text: string): unknown => JSON.parse(text);

describe("a value that is stored comes back as it was", () => {
  it.each([
    ["a serialized object of an unknown class", unknown],
    ["one of a known class, which is data all the same", new HumanMessage("hi").toJSON()],
    ["a secret's name", { lc: 1, type: "secret", id: ["PATH"] }],
    ["one inside another, in a list", [{ deep: { ...unknown, kwargs: { inner: unknown } } }]],
    ["what reads as LangGraph's undefined", { lc: 2, type: "undefined" }],
    ["what reads as a set", { lc: 2, type: "constructor", id: ["Set"], args: [[1]] }],
    ["what reads as a snapshot", { lc: 2, type: "delta_snapshot", value: 1 }],
    ["a field named __proto__", parsed('{"__proto__": {"polluted": true}, "a": 1}')],
    ["what reads as an escape", { __reins_fields__: [["a", 1]] }],
    ["a lone surrogate, NUL and names of all kinds", { "\ud800": "\udfff\0", $a: 1, "b.c": null, "": {} }],
    ["the remark of the serializer", "[unable to serialize, circular reference is too complex to analyze]"],
  ])("%s", async (_, value) => {
    const before = JSON.stringify(value);
    expect(JSON.stringify(await again(value))).toBe(before);
    expect(JSON.stringify(value)).toBe(before);
    expect(JSON.stringify(await again({ list: [value, unknown] }))).toBe(JSON.stringify({ list: [value, unknown] }));
  });

  it("maps, sets, messages and undefined beside such data, and inside a message", async () => {
    const message = new AIMessage({ content: "x", additional_kwargs: { data: unknown } });
    const value = {
      map: new Map<string, unknown>([["a", unknown]]),
      set: new Set([1]),
      none: undefined,
      message,
      unknown,
    };
    const back = (await again(value)) as typeof value;
    expect(back.map).toEqual(value.map);
    expect(back.set).toEqual(value.set);
    expect(back.message).toBeInstanceOf(AIMessage);
    expect(back.message.additional_kwargs).toEqual({ data: unknown });
    expect(back.unknown).toEqual(unknown);
  });
});

class Plain {
  own = 1;
}

describe("what nobody can write to", () => {
  const lookalikes = () => [unknown, { lc: 1, type: "secret", id: ["PATH"] }, { lc: 2, type: "undefined" }];
  const getter = (field: unknown) =>
    Object.defineProperty({ n: 1 }, "data", { enumerable: true, configurable: false, get: () => field });
  const proxy = (field: object) =>
    new Proxy(field, {
      set: () => false,
      defineProperty: () => false,
      isExtensible: Reflect.isExtensible,
    });

  it.each([
    ["frozen", (one: object) => Object.freeze({ ...one })],
    ["sealed", (one: object) => Object.seal({ ...one })],
    ["not extensible", (one: object) => Object.preventExtensions({ ...one })],
    ["deeply frozen", (one: object) => Object.freeze({ list: Object.freeze([Object.freeze({ ...one })]) })],
    ["behind a getter", getter],
    ["a proxy that refuses writes", proxy],
    [
      "with symbols and functions",
      (one: object) => Object.freeze({ ...one, [Symbol("s")]: 1, f: () => 1, s: Symbol() }),
    ],
    ["of a class", (one: object) => Object.freeze(Object.assign(new Plain(), one))],
    ["without a prototype", (one: object) => Object.freeze(Object.assign(Object.create(null), one))],
    ["what toJSON says", (one: object) => ({ toJSON: () => Object.freeze({ inner: Object.freeze({ ...one }) }) })],
    ["what toJSON says of itself", (one: object) => Object.freeze({ toJSON: () => one })],
  ])("%s: comes back as it was", async (_, made) => {
    for (const one of lookalikes()) {
      const value = made(one);
      const text = JSON.stringify(value);
      expect(JSON.stringify(await again({ a: value }))).toBe(JSON.stringify({ a: value }));
      const nested = { map: new Map([["a", value]]), set: new Set([value]), list: [[value]], plain: one };
      const back = (await again(nested)) as typeof nested;
      for (const each of [back.map.get("a"), ...back.set, back.list[0]![0]]) expect(JSON.stringify(each)).toBe(text);
      expect(back.plain).toEqual(one);
    }
  });

  it("keys of a map", async () => {
    const key = Object.freeze({ ...unknown });
    expect(await again(new Map([[key, Object.freeze([key])]]))).toEqual(new Map([[unknown, [unknown]]]));
  });

  it("what an earlier version stored of it can be read", async () => {
    const text = JSON.stringify({ a: unknown, b: { __reins_fields__: Object.entries(unknown) } });
    expect(await serde.loadsTyped("json/escaped", text)).toEqual({ a: unknown, b: unknown });
  });

  it("the value is left as it is, and read at once", async () => {
    const value = Object.freeze({ list: [{ ...unknown }] });
    const self: Record<string, unknown> = { value };
    self.self = self;
    const dumping = serde.dumpsTyped(self);
    expect([Object.keys(self), self.self]).toEqual([["value", "self"], self]);
    value.list.push({ ...unknown, type: "later" });
    const [type, bytes] = (await dumping) as [string, Uint8Array];
    expect(await serde.loadsTyped(type, bytes)).toMatchObject({ value: { list: [unknown] } });
  });
});

describe("what JSON has no form for", () => {
  it.each([
    [
      "numbers",
      {
        list: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, null],
        map: new Map([[Number.NaN, Number.NaN]]),
      },
    ],
    ["floats", { a: new Float32Array([1, 2.5]), b: new Float64Array([Number.NaN]), none: new Float32Array() }],
    ["integers", { a: new Int16Array([-1]), b: new BigInt64Array([-1n]), c: new Uint8ClampedArray([255]) }],
    ["buffers", { a: Buffer.from("x"), map: new Map([["a", Buffer.from("y")]]), set: new Set([Buffer.alloc(0)]) }],
    ["bytes", { a: new Uint8Array([1, 2]), b: new Uint8Array([1, 2, 3]).buffer, c: new DataView(new ArrayBuffer(2)) }],
    ["a part of a buffer", { a: new Uint16Array(new Uint16Array([1, 2, 3]).buffer, 2, 1) }],
    [
      "what reads as one of these",
      { a: { __reins_number__: "NaN" }, b: { __reins_bytes__: [] }, c: { __reins_above__: 1 } },
    ],
  ])("comes back: %s", async (_, value) => {
    expect(await again(value)).toStrictEqual(value);
    expect(await again([value, unknown])).toStrictEqual([value, unknown]);
  });

  it("inside a message", async () => {
    const message = new AIMessage({ content: "x", response_metadata: { scores: [Number.NEGATIVE_INFINITY] } });
    const back = (await again([message])) as AIMessage[];
    expect(back[0]).toBeInstanceOf(AIMessage);
    expect(back[0]!.response_metadata).toEqual({ scores: [Number.NEGATIVE_INFINITY] });
  });

  it("maps and sets of classes of their own are maps and sets", async () => {
    class OwnMap extends Map<string, number> {}
    class OwnSet extends Set<number> {}
    expect(await again({ m: new OwnMap([["a", 1]]), s: new OwnSet([1]) })).toStrictEqual({
      m: new Map([["a", 1]]),
      s: new Set([1]),
    });
  });

  it("cycles come back, also of what is frozen, and in maps, sets and what is escaped", async () => {
    const node = { name: "node", children: [] as object[], map: new Map(), set: new Set(), lc: 2 };
    node.children.push(Object.freeze({ parent: node, siblings: node.children }));
    node.map.set("self", node.map).set("node", node);
    node.set.add(node);
    const back = (await again({ node: Object.freeze(node) })) as { node: typeof node };
    const [child] = back.node.children as [{ parent: object; siblings: object }];
    expect(child.parent).toBe(back.node);
    expect(child.siblings).toBe(back.node.children);
    expect(back.node.map.get("self")).toBe(back.node.map);
    expect(back.node.map.get("node")).toBe(back.node);
    expect([...back.node.set]).toEqual([back.node]);
    expect([back.node.name, back.node.lc]).toEqual(["node", 2]);
  });

  it("what a message has twice is one thing afterwards", async () => {
    const artifact = { data: Object.freeze({ ...unknown }), n: Number.NaN };
    const [back] = (await again([new ToolMessage({ content: "x", tool_call_id: "1", artifact })])) as [ToolMessage];
    expect(back.artifact).toEqual(artifact);
    expect(back.lc_kwargs.artifact).toBe(back.artifact);
  });
});

it("what was stored of a class that is not there any more can be read as data, the rest as it is", async () => {
  const [type, bytes] = (await inner.dumpsTyped([new HumanMessage("hi"), { deep: unknown }])) as [string, Uint8Array];
  const [message, rest] = (await serde.loadsTyped(type, bytes)) as [HumanMessage, unknown];
  expect(message).toBeInstanceOf(HumanMessage);
  expect(rest).toEqual({ deep: unknown });
});

const through: { own: { up?: object } } = { own: {} };
through.own = { toJSON: () => ({ up: through }) } as never;
const deep = JSON.parse(`${'{"a":'.repeat(6000)}1${"}".repeat(6000)}`) as unknown;

it.each<[string, unknown, RegExp]>([
  ["a BigInt", { a: [1n] }, /"big\.a\[0\]" is a BigInt/],
  ["one in a map, beside a cycle", new Map([["a b", { n: 1n }]]), /"big\.a b\.n" is a BigInt/],
  ["an object that cannot be read", { x: { toJSON: () => fail("private") } }, /"big\.x" cannot be read: private/],
  [
    "a getter that throws",
    {
      a: [
        {
          get b() {
            return fail("private");
          },
        },
      ],
    },
    /"big\.a\[0\]\.b" cannot be read: private/,
  ],
  ["a proxy that is gone", [revoked()], /"big\[0\]" cannot be read/],
  ["a cycle through what toJSON says", { through }, /"big\.through\.own\.up" refers back to an object that it is in/],
  ["what is nested too deeply", deep, /"big" is nested too deeply/],
  ["a function", () => 1, /"big" is a function/],
  ["a symbol", Symbol("s"), /"big" is a symbol/],
])("%s is refused with a sentence", async (_, value, why) => {
  await expect(serde.dumpsTyped(value, "big")).rejects.toThrow(why);
  await expect(serde.dumpsTyped(value)).rejects.toMatchObject({ name: "UnstorableValueError" });
});

it("a refused value is left as it is", async () => {
  const self: Record<string, unknown> = {};
  self.self = self;
  await expect(serde.dumpsTyped({ self, n: 1n })).rejects.toThrow(/BigInt/);
  expect(self.self).toBe(self);
});

function fail(message: string): never {
  throw new Error(message);
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
