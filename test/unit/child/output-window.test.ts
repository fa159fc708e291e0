import { describe, expect, it } from "vitest";
import { OutputWindow } from "../../../src/worker/child/output-window.ts";
import type { OutputTuple } from "../../../src/worker/protocol.ts";

const event = (number: number, size = 1): OutputTuple => ["custom", "custom", [], String(number).padStart(size, "0")];

function openWindow() {
  const sent: OutputTuple[] = [];
  const controller = new AbortController();
  const window = new OutputWindow((event) => sent.push(event), controller.signal);
  return { sent, controller, window };
}

describe("OutputWindow", () => {
  it("has room for 1,000 events, again when they are stored", async () => {
    const { window } = openWindow();
    for (let i = 0; i < 1_000; i++) {
      expect(window.room()).toBeUndefined();
      window.push(event(i));
    }
    const room = window.room();
    expect(room).toBeInstanceOf(Promise);
    window.stored(1);
    await room;
    expect(window.room()).toBeUndefined();
    window.push(event(1_000));
    expect(window.room()).toBeInstanceOf(Promise);
    window.stored(1_001);
    expect(window.room()).toBeUndefined();
  });

  it("counts characters too, and lets one event pass that is larger than all the room", () => {
    const { window } = openWindow();
    window.push(event(1, 2_000_000));
    expect(window.room()).toBeInstanceOf(Promise);
    window.stored(1);
    expect(window.room()).toBeUndefined();
  });

  it("is not waited for by an aborted run, whose output is cut where the room ends", async () => {
    const { sent, controller, window } = openWindow();
    for (let i = 0; i < 1_000; i++) window.push(event(i));
    const room = window.room();
    controller.abort();
    await room;
    expect(window.room()).toBeUndefined();
    window.push(event(1_000));
    window.stored(1_000);
    window.push(event(1_001));
    expect(sent).toHaveLength(1_000);
  });
});
