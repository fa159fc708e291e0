import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { toJsonText } from "../../../src/worker/child/json-text.ts";

const form = (value: unknown) => JSON.parse(toJsonText(value));

describe("toJsonText", () => {
  it("leaves plain values as JSON has them", () => {
    const value = { a: [1, "x", null, true], b: { c: 1.5 } };
    expect(toJsonText(value)).toBe(JSON.stringify(value));
    expect(form({ at: new Date(0), none: undefined, not: Number.NaN })).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      not: null,
    });
  });

  it.each([undefined, () => 1, Symbol("s")])("is null for what JSON leaves out: %s", (value) => {
    expect(toJsonText(value)).toBe("null");
  });

  it("gives messages and their chunks the plain form, nested ones too", () => {
    const message = new AIMessage({ id: "1", content: "hi", tool_calls: [{ name: "t", args: { a: 1 }, id: "c" }] });
    expect(form({ deep: [message] }).deep[0]).toMatchObject({
      type: "ai",
      id: "1",
      content: "hi",
      tool_calls: [{ name: "t", args: { a: 1 }, id: "c" }],
    });
    expect(form(new AIMessageChunk({ content: "h", id: "2" }))).toMatchObject({ type: "ai", content: "h", id: "2" });
  });

  it.each<[string, Map<unknown, unknown>, unknown]>([
    ["texts", new Map(Object.entries({ a: 1, 1: [2n] })), { a: 1, 1: ["2"] }],
    ["nothing", new Map(), {}],
    [
      "a number and its text",
      new Map<unknown, unknown>([
        [1, "a"],
        ["1", "b"],
      ]),
      [
        [1, "a"],
        ["1", "b"],
      ],
    ],
    [
      "objects",
      new Map([
        [{ x: 1 }, 1],
        [{ x: 1 }, 2],
      ]),
      [
        [{ x: 1 }, 1],
        [{ x: 1 }, 2],
      ],
    ],
    [
      "symbols",
      new Map([
        [Symbol("a"), 1],
        [Symbol("a"), 2],
      ]),
      [
        [null, 1],
        [null, 2],
      ],
    ],
    ["a Map", new Map([[new Map([[1n, 2]]), new Map([["a", new Set([1])]])]]), [[[["1", 2]], { a: [1] }]]],
    [
      "what has no JSON",
      new Map<unknown, unknown>([
        [undefined, 1],
        [Number.NaN, undefined],
      ]),
      [
        [null, 1],
        [null, null],
      ],
    ],
  ])("loses no pair of a Map from %s", (_, map, expected) => {
    expect(form({ map })).toEqual({ map: expected });
    const cyclic: Record<string, unknown> = { map };
    cyclic.self = cyclic;
    expect(form(cyclic)).toEqual({ map: expected, self: "[Circular]" });
  });

  it("breaks cycles, keeps what only looks like one", () => {
    const shared = { a: 1 };
    const value: Record<string, unknown> = { first: shared, second: shared, big: 1n };
    value.self = value;
    value.list = [value];
    expect(form(value)).toEqual({
      first: { a: 1 },
      second: { a: 1 },
      big: "1",
      self: "[Circular]",
      list: ["[Circular]"],
    });
    const message = new AIMessage({ content: "hi", additional_kwargs: { cycle: value } });
    expect(form([message, value])[0]).toMatchObject({ type: "ai", content: "hi" });
  });

  it("survives values that throw while they are read", () => {
    const trap = {
      toJSON() {
        throw new Error("no");
      },
    };
    expect(form({ trap, fine: 1 })).toEqual({ trap: "[Unreadable: no]", fine: 1 });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(form([proxy])[0]).toMatch(/^\[Unreadable: /);
  });

  it("keeps a field named __proto__ a field, also where it makes a copy", () => {
    const odd = JSON.parse('{"__proto__":{"a":1},"b":2}');
    const cyclic = { odd, self: {} };
    cyclic.self = cyclic;
    for (const value of [{ odd }, cyclic, { odd: new Map(Object.entries(odd)) }]) {
      expect(toJsonText(value)).toContain('"odd":{"__proto__":{"a":1},"b":2}');
    }
  });

  it("survives what is nested deeper than the stack is high", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(() => toJsonText(deep)).not.toThrow();
  });
});
