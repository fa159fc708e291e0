import { expect, test } from "vitest";
import { DomainError } from "../../../src/domain/errors.ts";
import { toRestError } from "../../../src/rest/errors.ts";
import { answerCommand } from "../../../src/rest/thread-stream/commands.ts";

const long = "x".repeat(1_000_000);

test("an error that quotes much of its request is told in short", async () => {
  const error = toRestError(new DomainError("INVALID_FIELD", `"${long}" is no name`));
  expect(error?.message).toMatch(/^"x{10000,11000}… \(\d+ characters in all\)$/);
  const answer = await answerCommand({ id: 1, method: long, params: {} }, {} as never);
  expect(answer).toMatchObject({ type: "error", error: "unknown_command" });
  expect(JSON.stringify(answer).length).toBeLessThan(12_000);
});
