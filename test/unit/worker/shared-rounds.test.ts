import { expect, it } from "vitest";
import { createSharedRounds } from "../../../src/worker/shared-rounds.ts";

it("gives a server every round while it is alone, and of three servers each every third", () => {
  let servers = 1;
  const isMine = createSharedRounds(() => servers);
  const rounds = (count: number) => Array.from({ length: count }, isMine);
  expect(rounds(3)).toEqual([true, true, true]);
  servers = 3;
  expect(rounds(8)).toEqual([true, false, false, true, false, false, true, false]);
  servers = 1;
  expect(rounds(2)).toEqual([true, true]);
});
