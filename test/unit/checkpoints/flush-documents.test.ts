import { describe, expect, it } from "vitest";
import { flushDocuments } from "../../../src/checkpoints/flush-documents.ts";
import type { JournalFlush } from "../../../src/checkpoints/journal-port.ts";
import { smallFlush } from "../../support/journal-threads.ts";

const segment = (segmentId: string, length: number) => ({ segmentId, bytes: Buffer.alloc(length) });
const write = (channel: string, length: number) => ({
  namespace: "",
  checkpointId: "c",
  taskId: "t",
  taskPath: "",
  index: 0,
  channel,
  value: { inline: { type: "json", bytes: Buffer.alloc(length) } },
});

describe("flushDocuments", () => {
  it("puts a flush of ordinary size into one slot", () => {
    const flush: JournalFlush = { ...smallFlush("c"), writes: [write("w", 10)], segments: [segment("s", 10)] };
    const slots = flushDocuments(flush);
    expect(slots).toHaveLength(1);
    expect(slots[0]).toMatchObject({ segments: [{ id: "s" }], writes: [{ channel: "w" }], checkpoints: [{ id: "c" }] });
  });

  it("splits a big one: bytes first, then pending writes, the checkpoint last", () => {
    const flush: JournalFlush = {
      ...smallFlush("c"),
      writes: [write("w", 3_000)],
      segments: [segment("a", 3_000), segment("b", 3_000)],
    };
    const slots = flushDocuments(flush, 4_000);
    expect(slots.map((slot) => Object.keys(slot))).toEqual([["segments"], ["segments"], ["writes", "checkpoints"]]);
    expect(flushDocuments(flush, 3_300).at(-1)).toMatchObject({ checkpoints: [{ id: "c" }] });
  });

  it("leaves out what is empty", () => {
    expect(flushDocuments({ flushId: "f", checkpoints: [], writes: [], segments: [] })).toEqual([]);
  });
});
