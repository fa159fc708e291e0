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
