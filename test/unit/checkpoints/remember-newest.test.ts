import { describe, expect, it } from "vitest";
import type { JournalFlush, JournalPort, StoredCheckpoint } from "../../../src/checkpoints/journal-port.ts";
import { rememberNewest } from "../../../src/checkpoints/remember-newest.ts";
import { smallFlush } from "../../support/journal-threads.ts";

const stored = {
  checkpointId: "from the journal",
  values: {},
  writes: [],
  segmentBytes: {},
} as unknown as StoredCheckpoint;

/** A journal that counts what it is asked. */
function journal(isEmpty: boolean) {
  const asked: unknown[] = [];
  let failure: Error | undefined;
  const port: JournalPort = {
    append: async () => {
      if (failure) throw failure;
    },
    async read(query) {
      asked.push(query);
      return stored;
    },
    list: async () => [],
  };
  const remembering = rememberNewest(port, isEmpty ? null : undefined);
  const newest = () => remembering.read({ namespace: "" });
  return { ...remembering, newest, asked, fail: (error: Error) => (failure = error) };
}

const write = (checkpointId: string): JournalFlush["writes"][number] => ({
  namespace: "",
  checkpointId,
  taskId: "t",
  taskPath: "",
  index: 0,
  channel: "c",
  value: { inline: { type: "json", bytes: Buffer.from("1") } },
});
const none = { checkpoints: [], writes: [], segments: [] };

/** A checkpoint whose value lies in these segments. */
function flushOf(checkpointId: string, parts: readonly string[], added: readonly string[], bytes = 1): JournalFlush {
  const [checkpoint] = smallFlush(checkpointId).checkpoints;
  const value = { type: "json", parts: parts.map((segmentId) => ({ segmentId, length: bytes })) };
  return {
    flushId: checkpointId,
    writes: [],
    checkpoints: [{ ...checkpoint!, values: { v: value } }],
    segments: added.map((segmentId) => ({ segmentId, bytes: Buffer.alloc(bytes) })),
  };
}

describe("rememberNewest", () => {
  it("asks the journal for what was there before, and for other checkpoints", async () => {
    const port = journal(false);
    expect(await port.newest()).toBe(stored);
    await port.append(smallFlush("a"));
    expect((await port.newest())!.checkpointId).toBe("a");
    expect(await port.read({ namespace: "", checkpointId: "b" })).toBe(stored);
    expect(await port.read({ namespace: "sub" })).toBe(stored);
    expect(port.asked).toHaveLength(3);
  });

  it("knows what it has read, with the bytes that the next one is built on, unless that is large", async () => {
    const port = journal(false);
    expect(await port.newest()).toBe(stored);
    expect(await port.newest()).toBe(stored);
    expect(port.asked).toHaveLength(1);
    const built = { ...stored, segmentBytes: { s: Buffer.from("x") } } as StoredCheckpoint;
    const next = rememberNewest({ ...port, read: async () => built, append: async () => {} }, undefined);
    await next.read({ namespace: "" });
    await next.append(flushOf("b", ["s", "t"], ["t"]));
    expect((await next.read({ namespace: "" }))!.segmentBytes).toEqual({ s: Buffer.from("x"), t: Buffer.alloc(1) });
    const tight = rememberNewest(port, undefined, 1);
    const large = { ...stored, segmentBytes: { s: Buffer.alloc(2) } } as StoredCheckpoint;
    const again = rememberNewest({ ...port, read: async () => large }, undefined, 1);
    await Promise.all([tight.read({ namespace: "" }), again.read({ namespace: "" })]);
    expect([tight.newest, again.newest]).toEqual([stored, undefined]);
  });

  it("does not take for the newest what was read beside a flush", async () => {
    const reading = Promise.withResolvers<StoredCheckpoint>();
    const port = rememberNewest({ ...journal(false), read: () => reading.promise }, undefined);
    const read = port.read({ namespace: "" });
    await port.append(smallFlush("a"));
    reading.resolve(stored);
    await read;
    expect((await port.read({ namespace: "" }))!.checkpointId).toBe("a");
  });

  it("knows that an empty thread has none, and then each that was stored", async () => {
    const port = journal(true);
    expect(await port.newest()).toBeUndefined();
    await port.append(smallFlush("a"));
    const [checkpoint] = smallFlush("a").checkpoints;
    expect(await port.newest()).toEqual({ ...checkpoint, writes: [], segmentBytes: {} });
    expect(await port.read({ namespace: "", checkpointId: "a" })).toEqual(await port.newest());
    await port.append({ ...smallFlush("b"), writes: [write("a")] });
    expect((await port.newest())!.checkpointId).toBe("b");
    expect(port.asked).toEqual([]);
  });

  it("asks again once writes have been added to the newest, until the next one is stored", async () => {
    const port = journal(true);
    await port.append(smallFlush("a"));
    await port.append({ flushId: "w", ...none, writes: [write("a")] });
    expect(await port.newest()).toBe(stored);
    await port.append({ ...smallFlush("b"), writes: [write("b")] });
    expect(await port.newest()).toBe(stored);
    await port.append(smallFlush("c"));
    expect((await port.newest())!.checkpointId).toBe("c");
  });

  it("asks for a checkpoint whose writes have come before it", async () => {
    const port = journal(true);
    await port.append({ flushId: "w", ...none, writes: [write("a")] });
    await port.append(smallFlush("a"));
    expect(await port.newest()).toBe(stored);
    await port.append(smallFlush("b"));
    expect((await port.newest())!.checkpointId).toBe("b");
  });

  it("does not take for the newest what was read while a flush was under way", async () => {
    const [flush, reading] = [Promise.withResolvers<void>(), Promise.withResolvers<StoredCheckpoint>()];
    const port = rememberNewest(
      { ...journal(false), append: () => flush.promise, read: () => reading.promise },
      undefined,
    );
    const appended = port.append(smallFlush("a"));
    const read = port.read({ namespace: "" });
    flush.resolve();
    await appended;
    reading.resolve(stored);
    await read;
    expect((await port.read({ namespace: "" }))!.checkpointId).toBe("a");
  });

  it("has the bytes of the segments that it knows, and asks for the others", async () => {
    const port = journal(true);
    await port.append(flushOf("a", ["s"], ["s"]));
    await port.append(flushOf("b", ["s", "t"], ["t"]));
    expect(Object.keys((await port.newest())!.segmentBytes)).toEqual(["s", "t"]);
    await port.append(flushOf("c", ["from a run before", "t"], []));
    expect(await port.newest()).toBe(stored);
  });

  it("builds the next one on the bytes of the last one, although writes have come between", async () => {
    const port = journal(true);
    await port.append(flushOf("a", ["s"], ["s"]));
    await port.append({ flushId: "w", ...none, writes: [write("a")] });
    await port.append(flushOf("b", ["s", "t"], ["t"]));
    expect(await port.newest()).toMatchObject({
      checkpointId: "b",
      segmentBytes: { s: Buffer.alloc(1), t: Buffer.alloc(1) },
    });
    expect(port.asked).toEqual([]);
  });

  it("keeps no large state", async () => {
    const port = journal(true);
    await port.append(flushOf("a", ["s"], ["s"], 2_000_000));
    expect(await port.newest()).toBe(stored);
  });

  it("knows nothing once a flush has failed", async () => {
    const port = journal(true);
    port.fail(new Error("no"));
    await expect(port.append(smallFlush("a"))).rejects.toThrow("no");
    expect(await port.newest()).toBe(stored);
  });
});
