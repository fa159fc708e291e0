import { describe, expect, it } from "vitest";
import { readFilter } from "../../../src/access/langgraph/read-filter.ts";
import { indexedPart, isIndexed, matchesMetadata } from "../../../src/domain/metadata-filter.ts";

const matches = (filter: object, metadata: Record<string, unknown>) => matchesMetadata(metadata, readFilter(filter));

describe("a filter that a handler returns", () => {
  it.each([
    [{}, {}, true],
    [{ owner: "alice" }, { owner: "alice", more: 1 }, true],
    [{ owner: "alice" }, { owner: "bob" }, false],
    [{ owner: "alice" }, {}, false],
    [{ owner: "alice" }, { owner: ["alice"] }, false],
    [{ owner: "alice", org: "acme" }, { owner: "alice", org: "other" }, false],
    [{ level: 1 }, { level: 1 }, true],
    [{ level: 1 }, { level: "1" }, false],
    [{ open: true }, { open: true }, true],
    [{ owner: null }, { owner: null }, true],
    [{ owner: null }, {}, false],
    [{ owner: "" }, {}, false],
    [{ toString: "x" }, {}, false],
    [{ owner: { $eq: "alice" } }, { owner: "alice" }, true],
    [{ owner: { $eq: "" } }, { owner: "alice" }, false],
    [{ readers: { $contains: "alice" } }, { readers: ["bob", "alice"] }, true],
    [{ readers: { $contains: "alice" } }, { readers: ["bob"] }, false],
    [{ readers: { $contains: "alice" } }, {}, false],
    // A part of a text is nobody's name.
    [{ readers: { $contains: "ali" } }, { readers: "alice" }, false],
    [{ readers: { $contains: ["a", "b"] } }, { readers: ["c", "b", "a"] }, true],
    [{ readers: { $contains: ["a", "b"] } }, { readers: ["a"] }, false],
    [{ readers: { $eq: "a", $contains: "a" } }, { readers: "a" }, false],
  ])("%j on %j: %s", (filter, metadata, expected) => {
    expect(matches(filter, metadata)).toBe(expected);
  });

  it.each([
    [{ owner: undefined }],
    [{ owner: { $ne: "alice" } }],
    [{ owner: { $or: [] } }],
    [{ owner: {} }],
    [{ owner: ["alice"] }],
    [{ owner: { $eq: ["alice"] } }],
    [{ owner: { $contains: [] } }],
    [{ owner: { $contains: [{}] } }],
    [{ owner: { alice: true } }],
    [{ owner: Number.NaN }],
    [["alice"]],
  ])("is refused when it says something else: %j", (filter) => {
    expect(() => readFilter(filter)).toThrow(/a handler/);
  });

  it("is told by an index as far as it compares", () => {
    const filter = readFilter({ owner: "alice", org: { $eq: "acme" }, readers: { $contains: "x" } });
    expect(indexedPart(filter)).toEqual([{ owner: "alice" }, { org: "acme" }]);
    expect([isIndexed(filter), isIndexed(readFilter({ owner: "alice" })), isIndexed(undefined)]).toEqual([
      false,
      true,
      true,
    ]);
  });
});
