import { describe, expect, it } from "vitest";
import { authEvents, handlerFor, unhandled } from "../../../src/access/langgraph/events.ts";

describe("the handler for an event", () => {
  const all = ["*", "threads", "threads:create_run", "*:create_run", "*:read", "store"];
  it.each([
    ["threads:create_run", all, "threads:create_run"],
    ["threads:create_run", ["*", "*:create_run", "threads"], "threads"],
    ["threads:create_run", ["*", "*:create_run"], "*:create_run"],
    ["threads:create_run", ["*"], "*"],
    ["assistants:read", all, "*:read"],
    ["assistants:update", all, "*"],
    ["store:list_namespaces", all, "store"],
    ["threads:create", ["threads:create_run", "assistants", "*:read"], undefined],
  ] as const)("%s of %j is %s", (event, names, expected) => {
    expect(handlerFor(new Set(names), event)).toBe(expected);
  });

  it("there is one for everything with a star alone, and for nothing without any", () => {
    expect(unhandled(new Set(["*"]))).toEqual([]);
    expect(unhandled(new Set())).toEqual(authEvents);
    expect(unhandled(new Set(["threads", "store", "*:read", "*:search", "*:create"]))).toEqual([
      "assistants:update",
      "assistants:delete",
    ]);
  });
});
