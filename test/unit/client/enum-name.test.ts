import { expect, test } from "vitest";
import { enumName, RunStatus } from "../../../src/client/index.ts";

test("an enum's value has its name", () => {
  expect(enumName(RunStatus, RunStatus.INTERRUPTED)).toBe("INTERRUPTED");
});

test("a value that only a newer server knows has its number", () => {
  expect(enumName(RunStatus, 99)).toBe("99");
});
