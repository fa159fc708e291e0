import fc from "fast-check";
import { BSON } from "mongodb";
import { describe, expect, it } from "vitest";
import type { StoredThread, ThreadOrigin } from "../../../src/domain/ports.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";
import { marked } from "../../../src/domain/thread/marks.ts";
import { type ThreadDocument, toStoredThread, toThreadDocument } from "../../../src/storage/thread-document.ts";
import { controlsOf, steps } from "../domain/lane-sequences.ts";

/** What a document is after the database has stored it, by the driver's own reader and writer. */
const asStored = (doc: ThreadDocument): ThreadDocument =>
  BSON.deserialize(BSON.serialize(doc, { ignoreUndefined: true })) as ThreadDocument;
const throughTheDatabase = (thread: StoredThread) => toStoredThread(asStored(toThreadDocument(thread)));

const origin: ThreadOrigin = { owner: "", threadId: "thread", journal: "journal", createdAt: 1_700_000_000_000 };
const metadata = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue());
const time = fc.nat(2 ** 42);

describe("a thread", () => {
  it("is the same after it was stored, whatever was decided about it", () => {
    const given = fc.record({
      sequence: steps,
      metadata,
      ttlMs: fc.option(time, { nil: undefined }),
      watchedBy: fc.option(fc.constantFrom([], ["s0"], ["s0", "s1"]), { nil: undefined }),
      at: time,
    });
    fc.assert(
      fc.property(given, ({ sequence, ttlMs, watchedBy, at, ...rest }) => {
        // As clients send it: JSON knows no negative zero.
        const kept = JSON.parse(JSON.stringify(rest.metadata));
        const from = newControl({ threadId: "thread", rev: "rev", metadata: kept, ttlMs, watchedBy }, at);
        for (const [i, control] of controlsOf(sequence, from).entries()) {
          const thread = { origin, control: marked(control, { server: "s1", rev: `rev-${i}`, at }) };
          expect(throughTheDatabase(thread)).toStrictEqual(thread);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("keeps what is rare", () => {
    const opened = { graph: "graph", assistantId: "assistant", configurable: "{}" };
    const metadata = JSON.parse('{"__proto__":1,"a.b":{"$set":"\\u0000 \\ud800"}}');
    const control = {
      ...newControl({ threadId: "thread", rev: "rev", metadata }, 5),
      state: { n: 2, graph: "graph", values: '{"a":1e400}', next: ["node"], interrupts: [{ id: "i", value: "1" }] },
      last: { n: 1, status: "error", error: { name: "Error", message: "why" }, unread: true },
      status: "error",
      error: { name: "Error", message: "why" },
      removing: true,
    } as const;
    const thread = { origin: { ...origin, owner: "owner", opened }, control };
    expect(throughTheDatabase(thread)).toStrictEqual(thread);
    expect(toThreadDocument(thread)._id).toBe("owner/thread");
  });
});
