import { describe, expect, it } from "vitest";
import { DomainError } from "../../../src/domain/errors.ts";
import { createItemFilter } from "../../../src/domain/item-filter.ts";

const value = {
  kind: "note",
  score: 4.99,
  size: "10",
  at: "2026-03-01",
  done: false,
  none: null,
  tags: ["a", "b"],
  inner: { b: 2, a: [1] },
  "a.b": 1,
  $set: 2,
};

describe("a filter of items", () => {
  it.each<[object, boolean]>([
    [{}, true],
    [{ kind: "note" }, true],
    [{ kind: "note", score: 5 }, false],
    [{ kind: { $eq: "note", $ne: "letter" } }, true],
    [{ absent: { $ne: 1 } }, true],
    [{ absent: null }, false],
    [{ none: null }, true],
    [{ done: false }, true],
    [{ score: { $gt: 4.99 } }, false],
    [{ score: { $gte: 4.99, $lt: 5 } }, true],
    [{ score: { $gte: 3, $lt: 4 } }, false],
    [{ score: { $lte: "4.99" } }, true],
    [{ size: { $gt: "9" } }, true],
    [{ at: { $gt: "2026-02-28", $lt: "2026-03-02" } }, true],
    [{ at: { $gt: "2026-03-01" } }, false],
    [{ at: { $gt: 5 } }, false],
    [{ none: { $gte: 0 } }, false],
    [{ done: { $lt: 1 } }, false],
    [{ absent: { $lt: 1 } }, false],
    [{ kind: { $in: ["letter", "note"] }, score: { $nin: [1] } }, true],
    [{ kind: { $in: [] } }, false],
    [{ tags: ["a", "b"] }, true],
    [{ tags: ["b", "a"] }, false],
    [{ inner: { a: [1], b: 2 } }, true],
    [{ inner: { a: [1] } }, false],
    [{ inner: { $eq: { a: [1], b: 2 } } }, true],
    [{ inner: {} }, false],
    [{ "a.b": 1, $set: 2 }, true],
    [{ "inner.b": 2 }, false],
    [{ constructor: { $ne: 1 } }, true],
    [{ toString: { $gte: 0 } }, false],
    [JSON.parse('{"__proto__": {"$eq": 1}}'), false],
  ])("%j: %s", (filter, expected) => {
    expect(createItemFilter(filter)(value)).toBe(expected);
  });

  it.each<[unknown, string]>([
    [{ kind: { $regex: "n" } }, '"kind" asks for "$regex"; the operators are $eq, $ne,'],
    [{ kind: { $eq: "note", $where: "1" } }, '"$where"'],
    [{ kind: { $eq: "note", other: 1 } }, '"other"'],
    [{ kind: { $in: "note" } }, "$in and $nin take a list"],
    [[1], "must be an object"],
    ["kind", "must be an object"],
    [null, "must be an object"],
  ])("%j is refused", (filter, sentence) => {
    const refused = () => createItemFilter(filter);
    expect(refused).toThrow(DomainError);
    expect(refused).toThrow(sentence);
  });
});
