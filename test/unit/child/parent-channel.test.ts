import { describe, expect, it } from "vitest";
import { ParentChannel } from "../../../src/worker/child/parent-channel.ts";
import type { ChildMessage, OutputTuple } from "../../../src/worker/protocol.ts";

const event = (text: string): OutputTuple => ["custom", "custom", [], text];

function open() {
  const posted: ChildMessage[] = [];
  return { posted, channel: new ParentChannel((message) => posted.push(message)) };
}

describe("output on the way to the parent", () => {
  it("goes in one message for all attempts, once a turn", async () => {
    const { posted, channel } = open();
    channel.output("a", event("1"));
    channel.output("b", event("2"));
    channel.output("a", event("3"));
    expect(posted).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    const of = [
      { attemptId: "a", events: [event("1"), event("3")] },
      { attemptId: "b", events: [event("2")] },
    ];
    expect(posted).toEqual([{ type: "output", of }]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(posted).toHaveLength(1);
  });

  it("goes before what is sent after it", () => {
    const { posted, channel } = open();
    channel.output("a", event("1"));
    channel.send({ type: "end", attemptId: "a", end: { kind: "success" } });
    void channel.journal("b").read({ namespace: "" });
    channel.output("b", event("2"));
    void channel.journal("b").read({ namespace: "" });
    expect(posted.map(({ type }) => type)).toEqual(["output", "end", "request", "output", "request"]);
  });
});
