import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  charactersOf,
  type EventChunk,
  type StoredEvent,
  type WholeEvent,
} from "../../../src/domain/run/run-events.ts";
import type { StreamMode } from "../../../src/domain/transitions.ts";
import { createEventLog } from "../../../src/stream/event-log.ts";
import { createEventPacker } from "../../../src/stream/pack-events.ts";
import { newRecord } from "../../support/run-records.ts";

const run = newRecord();
const kB = 1024;

const event = (data: unknown, mode: StreamMode = "values", namespace: readonly string[] = []): WholeEvent => ({
  kind: "output",
  mode,
  name: mode,
  namespace,
  json: JSON.stringify(data),
});

/** A run's log: attempts one after the other, each with a packer of its own, in chunks as they come. */
function write(attempts: readonly (readonly (readonly WholeEvent[])[])[]): EventChunk<StoredEvent>[] {
  const log: EventChunk<StoredEvent>[] = [];
  let first = 2;
  for (const chunks of attempts) {
    const pack = createEventPacker();
    for (const events of chunks) {
      log.push({ first, last: first + events.length - 1, events: pack(events, first) });
      first += events.length;
    }
  }
  return log;
}

/** As the database answers, in pages; `read` counts the characters that it gave. */
function stored(log: readonly EventChunk<StoredEvent>[], page = 3) {
  let read = 0;
  const from = async (_: unknown, sequence: number) => {
    const chunks = log.filter(({ last }) => last >= sequence).slice(0, page);
    for (const { events } of chunks) for (const one of events) read += charactersOf(one);
    return chunks;
  };
  return { from, read: () => read };
}

async function readAll(store: ReturnType<typeof stored>, sequence: number, rests = false): Promise<WholeEvent[]> {
  const reader = createEventLog(store)(run);
  const found: WholeEvent[] = [];
  for (let next = sequence; ; ) {
    const chunks = await reader.from(next);
    if (chunks.length === 0) return found;
    for (const { first, events } of chunks) found.push(...events.slice(Math.max(0, next - first)));
    next = chunks.at(-1)!.last + 1;
    if (rests) reader.rest();
  }
}

const size = (log: readonly EventChunk<StoredEvent>[]) =>
  log.reduce((sum, { events }) => sum + events.reduce((all, one) => all + charactersOf(one), 0), 0);

const say = (n: number, characters: number) => `${n} ${"x".repeat(characters)}`;

/** States that grow, shrink, stay and are told in several modes and namespaces. */
const step = fc.record({
  add: fc.nat(3),
  characters: fc.constantFrom(0, 10, 300, 2_000),
  drop: fc.nat(4),
  mode: fc.constantFrom<StreamMode[]>("values", "checkpoints", "updates", "tasks"),
  namespace: fc.constantFrom([], ["sub"], ["other", "deep"]),
});

function told(steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): WholeEvent[] {
  let messages: string[] = [];
  return steps.map(({ add, characters, drop, mode, namespace }, n) => {
    messages = [...messages, ...Array.from({ length: add }, (_, at) => say(n * 10 + at, characters))];
    if (drop === 4) messages = messages.slice(1);
    return event(mode === "values" ? { n, messages } : { id: n, values: { messages }, n }, mode, namespace);
  });
}

describe("events that are stored as what they have of others", () => {
  it("are read as they were, from every one of them on", async () => {
    const attempts = fc.array(fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 12 }), {
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        attempts,
        fc.nat(40),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        async (steps, skip, page, rests) => {
          const whole = steps.map((chunks) => {
            const events = told(chunks.flat());
            return chunks.map(({ length }) => events.splice(0, length));
          });
          const log = write(whole);
          expect(await readAll(stored(log, page), 2 + skip, rests)).toEqual(whole.flat(2).slice(skip));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("take no more room than what was said, told in one mode or in three", () => {
    const steps = Array.from({ length: 100 }, (_, n) => Array.from({ length: n + 1 }, (_, at) => say(at, 4 * kB)));
    const said = 100 * 4 * kB;
    const values = steps.map((messages, n) => [event({ n, messages })]);
    expect(size(write([values]))).toBeLessThan(1.6 * said);
    const modes = steps.map((messages, n) => [
      event({ n, messages }),
      event({ config: { id: n }, values: { n, messages }, next: ["a"] }, "checkpoints"),
      event({ id: n, name: "a", input: { n, messages } }, "tasks"),
      event({ id: n, name: "a", result: { messages: [messages.at(-1)] } }, "tasks"),
    ]);
    expect(size(write([modes]))).toBeLessThan(3 * said);
  });

  it("take room once when nothing has changed", () => {
    const chunks = Array.from({ length: 10 }, (_, n) => [event({ messages: ["x".repeat(1024 * kB)], n })]);
    expect(size(write([chunks]))).toBeLessThan(1.1 * 1024 * kB);
  });

  it("are not much more to read for one who begins at the last one, whatever lies between", async () => {
    const chunks = Array.from({ length: 400 }, (_, n) => [
      event({ n, messages: Array.from({ length: n + 1 }, (_, at) => say(at, 2 * kB)) }),
      event("token".repeat(150), "custom"),
      event("token".repeat(150), "custom"),
    ]);
    const log = write([chunks]);
    const store = stored(log);
    const last = log.at(-1)!;
    expect(await readAll(store, last.first)).toEqual(chunks.at(-1));
    const state = 400 * 2 * kB;
    expect(store.read()).toBeLessThan(8 * state);
  });

  it("are not very many to read either", async () => {
    const chunks = Array.from({ length: 3_000 }, (_, n) => [event({ messages: ["x".repeat(20 * kB)], n })]);
    const log = write([chunks]);
    const whole = log.filter(({ events }) => !("delta" in events[0]!));
    expect(whole.length).toBeLessThan(6);
    expect(whole.length).toBeGreaterThan(1);
    expect(await readAll(stored(log, 64), log.at(-1)!.first)).toEqual(chunks.at(-1));
  });

  it("come in parts of about a megabyte, however short they are stored", async () => {
    const chunks = Array.from({ length: 60 }, (_, n) => [event({ messages: ["x".repeat(400 * kB)], n })]);
    const reader = createEventLog(stored(write([chunks]), 100))(run);
    const part = await reader.from(2);
    expect(part.length).toBeLessThan(5);
    expect((await reader.from(part.at(-1)!.last + 1))[0]!.first).toBe(part.at(-1)!.last + 1);
  });

  it("are gone with the one that they are made from", async () => {
    const chunks = Array.from({ length: 4 }, (_, n) => [event({ messages: ["x".repeat(2 * kB)], n })]);
    const log = write([chunks]);
    expect("delta" in log[2]!.events[0]!).toBe(true);
    const left = await createEventLog(stored(log.slice(1)))(run).from(3);
    expect(left[0]!.first).toBeGreaterThan(3);
    expect(left.flatMap(({ events }) => events)).toEqual([]);
  });
});
