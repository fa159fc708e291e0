import { AIMessage, HumanMessage } from "@langchain/core/messages";
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

it("what was stored of a class that is not there any more can be read as data, the rest as it is", async () => {
  const [type, bytes] = (await inner.dumpsTyped([new HumanMessage("hi"), { deep: unknown }])) as [string, Uint8Array];
  const [message, rest] = (await serde.loadsTyped(type, bytes)) as [HumanMessage, unknown];
  expect(message).toBeInstanceOf(HumanMessage);
  expect(rest).toEqual({ deep: unknown });
});

it.each([
  ["a BigInt", { a: [1n] }, /BigInt/],
  [
    "an object that cannot be read",
    {
      toJSON() {
        throw new Error("private");
      },
    },
    /private/,
  ],
])("%s is refused with a sentence", async (_, value, why) => {
  await expect(serde.dumpsTyped(value)).rejects.toThrow(why);
  await expect(serde.dumpsTyped(value)).rejects.toMatchObject({ name: "UnstorableValueError" });
});
