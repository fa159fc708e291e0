import { describe, expect, it } from "vitest";
import { withoutCallersNames } from "../../../src/domain/run/callers-names.ts";

describe("what a caller says of itself in a configuration", () => {
  it.each([
    ['{"a":1,"langgraph_auth_user":{"identity":"root"}}', '{"a":1}'],
    ['{"langgraph_auth_user_id":"root","langgraph_auth_permissions":["all"]}', "{}"],
    ['{"l\\u0061nggraph_auth_user":1,"b":"\\u00e9"}', '{"b":"é"}'],
  ])("is left out of %s", (text, expected) => {
    expect(withoutCallersNames(text)).toBe(expected);
  });

  it.each([
    ['{"n": 12345678901234567890, "t": "\\u0061"}'],
    ['{"note":"langgraph_auth_user", "in": {"langgraph_auth_user": 1}}'],
    ["[]"],
    ["{ }"],
  ])("what says nothing under these names stays as it was written: %s", (text) => {
    expect(withoutCallersNames(text)).toBe(text);
  });
});
