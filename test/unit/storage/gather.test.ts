import { MongoNetworkError } from "mongodb";
import { describe, expect, it, vi } from "vitest";
import { createGather, crowd } from "../../../src/storage/gather.ts";

interface Item {
  readonly _id: string;
  readonly text?: string;
}

/** A command that is answered when the test says so. */
function setup(options: { most?: number; isUrgent?: boolean } = {}) {
  const commands: { ids: string[]; answer: PromiseWithResolvers<readonly (string | Error)[]> }[] = [];
  const send = vi.fn((items: readonly Item[]) => {
    const answer = Promise.withResolvers<readonly (string | Error)[]>();
    commands.push({ ids: items.map(({ _id }) => _id), answer });
    return answer.promise;
  });
  const gather = createGather(send, { keyOf: ({ _id }: Item) => _id, ...options });
  const ids = () => commands.map((command) => command.ids.join(" "));
  const answer = (place: number) => {
    const command = commands[place]!;
    command.answer.resolve(command.ids.map((id) => `done ${id}`));
  };
  return { gather, commands, ids, answer };
}

describe("what is asked for at the same time", () => {
  it("goes with one command, and what comes meanwhile with the next", async () => {
    const { gather, ids, answer } = setup();
    const first = [gather({ _id: "a" }), gather({ _id: "b" })];
    await vi.waitFor(() => expect(ids()).toEqual(["a b"]));
    const next = [gather({ _id: "c" }), gather({ _id: "d" })];
    await new Promise(setImmediate);
    expect(ids()).toEqual(["a b"]);
    answer(0);
    expect(await Promise.all(first)).toEqual(["done a", "done b"]);
    await vi.waitFor(() => expect(ids()).toEqual(["a b", "c d"]));
    answer(1);
    expect(await Promise.all(next)).toEqual(["done c", "done d"]);
  });

  it("shares no command with another change of the same document, and only as many as fit", async () => {
    const { gather, ids, answer } = setup({ most: 2 });
    const all = ["a", "a", "b", "c"].map((_id) => gather({ _id }));
    for (const place of [0, 1]) {
      await vi.waitFor(() => expect(ids()).toHaveLength(place + 1));
      answer(place);
    }
    expect(ids()).toEqual(["a b", "a c"]);
    expect(await Promise.all(all)).toEqual(["done a", "done a", "done b", "done c"]);
  });

  it("does not wait for what is large, nor is that for others", async () => {
    const { gather, ids } = setup();
    void gather({ _id: "a" });
    void gather({ _id: "large", text: "x".repeat(70_000) });
    await vi.waitFor(() => expect(ids()).toEqual(["large", "a"]));
    void gather({ _id: "larger", text: "x".repeat(700_000) });
    expect(ids()).toEqual(["large", "a", "larger"]);
    const many = Array.from({ length: 12 }, (_, n) => gather({ _id: `${n}`, text: "x".repeat(60_000) }));
    expect(many).toHaveLength(12);
  });

  it("follows the last command after a moment where there is a crowd, and at once for the few", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout"] });
    try {
      const { gather, ids, answer } = setup();
      const few = Array.from({ length: crowd.size - 1 }, (_, n) => `${n}`);
      for (const _id of few) {
        void gather({ _id });
        await new Promise(setImmediate);
        answer(ids().length - 1);
        await new Promise(setImmediate);
      }
      expect(ids()).toEqual(few);
      void gather({ _id: "another" });
      await new Promise(setImmediate);
      expect(ids()).toEqual(few);
      void gather({ _id: "one more" });
      await vi.advanceTimersByTimeAsync(crowd.everyMs);
      expect(ids()).toEqual([...few, "another one more"]);
      answer(few.length);
      await vi.advanceTimersByTimeAsync(2 * crowd.withinMs);
      void gather({ _id: "alone" });
      await new Promise(setImmediate);
      expect(ids().at(-1)).toBe("alone");
    } finally {
      vi.useRealTimers();
    }
  });

  it("waits for no crowd where it is urgent", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout"] });
    try {
      const { gather, ids, answer } = setup({ isUrgent: true });
      for (let n = 0; n < 2 * crowd.size; n += 1) {
        void gather({ _id: `${n}` });
        await new Promise(setImmediate);
        expect(ids()).toHaveLength(n + 1);
        answer(n);
        await new Promise(setImmediate);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  it("hears each of its own error", async () => {
    const { gather, commands } = setup();
    const all = ["a", "b"].map((_id) => gather({ _id }));
    await vi.waitFor(() => expect(commands).toHaveLength(1));
    commands[0]!.answer.resolve(["done a", new Error("b is refused")]);
    expect(await Promise.allSettled(all)).toMatchObject([{ value: "done a" }, { reason: { message: "b is refused" } }]);
  });

  it("goes one by one when one of them has stopped all", async () => {
    const { gather, commands, ids, answer } = setup();
    const all = Promise.allSettled(["a", "b"].map((_id) => gather({ _id })));
    await vi.waitFor(() => expect(commands).toHaveLength(1));
    commands[0]!.answer.reject(new Error("too large"));
    await vi.waitFor(() => expect(commands).toHaveLength(2));
    commands[1]!.answer.reject(new Error("too large"));
    await vi.waitFor(() => expect(commands).toHaveLength(3));
    answer(2);
    expect(ids()).toEqual(["a b", "a", "b"]);
    expect(await all).toMatchObject([{ reason: { message: "too large" } }, { value: "done b" }]);
  });

  it("is not sent again when the database was away, since it may have been carried out", async () => {
    const { gather, commands } = setup();
    const all = Promise.allSettled(["a", "b"].map((_id) => gather({ _id })));
    await vi.waitFor(() => expect(commands).toHaveLength(1));
    commands[0]!.answer.reject(new MongoNetworkError("gone"));
    expect(await all).toMatchObject([{ reason: { message: "gone" } }, { reason: { message: "gone" } }]);
    const next = gather({ _id: "c" });
    await vi.waitFor(() => expect(commands).toHaveLength(2));
    commands[1]!.answer.resolve(["done c"]);
    expect(await next).toBe("done c");
  });
});
