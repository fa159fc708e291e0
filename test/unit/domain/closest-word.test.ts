import { describe, expect, it } from "vitest";
import { closestWord, didYouMean } from "../../../src/domain/closest-word.ts";

const known = ["--config", "--host", "--port", "--data-dir", "REINS_LEASE_MS", "REINS_GRACE_MS", "serve", "graphs"];

describe("closestWord", () => {
  it.each([
    ["--prot", "--port"],
    ["--por", "--port"],
    ["--ports", "--port"],
    ["--PORT", "--port"],
    ["--data_dir", "--data-dir"],
    ["REINS_LEASE_M", "REINS_LEASE_MS"],
    ["reins_grace_ms", "REINS_GRACE_MS"],
    ["srve", "serve"],
    ["grpahs", "graphs"],
  ])("takes %s for %s", (word, meant) => {
    expect(closestWord(word, known)).toBe(meant);
    expect(didYouMean(word, known)).toBe(`; did you mean ${meant}?`);
  });

  it.each(["--colour", "2024", "", "start", "REINS_ANYTHING_ELSE"])("has nothing for %j", (word) => {
    expect(closestWord(word, known)).toBeUndefined();
    expect(didYouMean(word, known)).toBe(".");
  });
});
