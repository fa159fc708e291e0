import { expect, it } from "vitest";
import { PayloadFormat } from "../../../gen/reins/v1/payload_pb.ts";
import { fromPayload } from "../../../src/client/index.ts";
import { payloadWriter } from "../../../src/services/convert/payload.ts";
import { stateWriter, toInterrupts } from "../../../src/services/convert/thread.ts";

const write = payloadWriter(PayloadFormat.JSON);
const interrupts = [10, 200_000, 200_000, 20].map((length, place) => ({
  id: String(place),
  taskId: "task",
  value: JSON.stringify("?".repeat(length)),
}));
const asked = (omitValues: boolean) =>
  toInterrupts(interrupts, stateWriter(write, omitValues).question).map(({ id, value }) => [
    id,
    (fromPayload(value) as string | undefined)?.length,
  ]);

it("an answer with values has every question, one without those that fit", () => {
  expect(asked(false)).toEqual([
    ["0", 10],
    ["1", 200_000],
    ["2", 200_000],
    ["3", 20],
  ]);
  expect(asked(true)).toEqual([
    ["0", 10],
    ["1", 200_000],
    ["2", undefined],
    ["3", 20],
  ]);
});

it("a state with values has all its metadata, one without what is small", () => {
  const metadata = { step: 1, padding: "x".repeat(200_000), tag: "y".repeat(60_000), source: "loop" };
  const { padding: _, ...small } = metadata;
  for (const [omitValues, expected] of [[false, metadata] as const, [true, small] as const]) {
    expect(stateWriter(write, omitValues).metadata(JSON.stringify(metadata))).toEqual(expected);
  }
});

it("a page of states without values stays small, whatever their tasks have failed with", () => {
  const large = JSON.stringify({ step: 1, tag: "y".repeat(100_000) });
  const fault = "z".repeat(5_000_000);
  const all = stateWriter(write, true);
  const states = Array.from({ length: 1_000 }, () => [all.metadata(large), all.error(fault)] as const);
  expect(states[0]![0]).toEqual(JSON.parse(large));
  expect(states[0]![1]).toMatch(/^z{60000,}… \(5000000 characters in all\)$/);
  expect(states.at(-1)![1]).toMatch(/^z+… \(5000000 characters in all\)$/);
  expect(JSON.stringify(states).length).toBeLessThan(2_000_000);
  expect(stateWriter(write, false).error(fault)).toBe(fault);
});
