import { describe, expect, it } from "vitest";
import { Activity } from "../../../src/worker/child/activity.ts";

const deferred = () => Promise.withResolvers<void>();

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true));
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("Activity", () => {
  it("counts a function until its promise settles, either way, and hands on what it returns or throws", async () => {
    const activity = new Activity();
    const { promise, reject } = deferred();
    const result = activity.run(() => promise);
    expect(activity.functions).toBe(1);
    reject(new Error("no"));
    await expect(result).rejects.toThrow("no");
    expect(activity.functions).toBe(0);
    expect(activity.run(() => 3)).toBe(3);
    expect(() =>
      activity.run(() => {
        throw new Error("at once");
      }),
    ).toThrow("at once");
    expect(activity.functions).toBe(0);
  });

  it("settles only when the last function has, those that begin meanwhile included", async () => {
    const activity = new Activity();
    const first = deferred();
    const second = deferred();
    void activity.run(() => first.promise).then(() => activity.run(() => second.promise));
    const settled = activity.settle();
    expect(await isSettled(settled)).toBe(false);
    first.resolve();
    expect(await isSettled(settled)).toBe(false);
    second.resolve();
    await settled;
  });

  it("starts nothing once it has settled", async () => {
    const activity = new Activity();
    await activity.settle();
    let called = false;
    const late = activity.run(async () => {
      called = true;
    });
    expect(await isSettled(late)).toBe(false);
    expect(called).toBe(false);
  });

  it("waits for loops, and brings those to their end that nobody reads any more", async () => {
    const activity = new Activity();
    const written = deferred();
    async function* loop() {
      try {
        yield 1;
        yield 2;
      } finally {
        await written.promise;
      }
    }
    const reader = activity.follow(loop());
    expect(await reader.next()).toEqual({ value: 1, done: false });
    const settled = activity.settle();
    expect(await isSettled(settled)).toBe(false);
    written.resolve();
    await settled;
  });

  it("lets a function begin only when there is room for its output", async () => {
    const room = deferred();
    let full = true;
    const activity = new Activity(() => (full ? room.promise : undefined));
    let called = false;
    const work = activity.run(async () => {
      called = true;
      return "done";
    });
    expect(await isSettled(work)).toBe(false);
    expect(called).toBe(false);
    expect(activity.functions).toBe(1);
    full = false;
    room.resolve();
    expect(await work).toBe("done");
  });
});
