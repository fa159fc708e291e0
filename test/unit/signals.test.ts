import { describe, expect, it } from "vitest";
import { createSignal } from "../../src/signals.ts";

describe("a signal", () => {
  it("tells its listeners in their order, before it returns", () => {
    const signal = createSignal<[string, number]>(() => undefined);
    const heard: unknown[] = [];
    signal.on((name, count) => heard.push(["first", name, count]));
    signal.on((name) => heard.push(["second", name]));
    signal.emit("a", 1);
    expect(heard).toEqual([
      ["first", "a", 1],
      ["second", "a"],
    ]);
  });

  it("is emitted without listeners", () => {
    expect(() => createSignal(() => undefined).emit()).not.toThrow();
  });

  it.each([
    ["throws", () => expect.fail("listener")],
    ["is rejected", () => Promise.reject(new Error("listener"))],
  ])("neither fails nor leaves out others when a listener %s", async (_, listener) => {
    const failed = Promise.withResolvers<unknown>();
    const signal = createSignal(failed.resolve);
    let heard = 0;
    signal.on(listener);
    signal.on(() => heard++);
    signal.emit();
    expect(heard).toBe(1);
    expect(await failed.promise).toMatchObject({ message: "listener" });
  });
});
