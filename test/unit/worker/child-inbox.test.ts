import { describe, expect, it } from "vitest";
import { createChildInbox } from "../../../src/worker/child-inbox.ts";
import type { ChildMessage, StateReport } from "../../../src/worker/protocol.ts";

const long = JSON.stringify("x".repeat(300_000));
const broken = long.slice(1);

const event = (json: string) => ["custom", "custom", [], json];
const output = (...of: [attemptId: string, json: string][]) => ({
  type: "output",
  of: of.map(([attemptId, json]) => ({ attemptId, events: [event(json)] })),
});
const end = (attemptId: string, state?: Partial<StateReport>) => {
  const whole = { checkpointNs: "", next: [], tasks: [], interrupts: [], ...state };
  return { type: "end", attemptId, end: { kind: "success", ...(state && { state: whole }) } };
};
const task = { id: "t", name: "n", interrupts: [] };

/** What is handed over of these messages, in order: the message, or the scope at fault. */
async function handedOver(...messages: unknown[]): Promise<unknown[]> {
  const told: unknown[] = [];
  const inbox = createChildInbox({
    message: (message: ChildMessage) => told.push(message),
    malformed: ({ scope }) => told.push(scope),
  });
  for (const message of messages) inbox.push(message);
  await inbox.empty();
  return told;
}

describe("what comes from a child", () => {
  it("is handed over at once when it is short", () => {
    const told: unknown[] = [];
    const inbox = createChildInbox({ message: (one) => told.push(one), malformed: (one) => told.push(one) });
    inbox.push(end("a"));
    expect(told).toEqual([end("a")]);
  });

  it("keeps its order behind what is long", async () => {
    const messages = [
      output(["a", "1"]),
      output(["a", long]),
      output(["a", "2"]),
      end("a", { values: long }),
      end("b"),
    ];
    expect(await handedOver(...messages)).toEqual(messages);
    expect(await handedOver("ready", output(["a", long]), "ready", 1, end("b"))).toEqual([
      output(["a", long]),
      end("b"),
    ]);
  });

  it.each<[string, object]>([
    ["an event", output(["a", broken])],
    ["values", end("a", { values: broken })],
    ["metadata", end("a", { metadata: `{${broken}` })],
    ["a question", end("a", { interrupts: [{ id: "i", taskId: "t", value: broken }] })],
    ["a task's result", end("a", { tasks: [{ ...task, result: broken }] })],
    [
      "a subgraph's values",
      end("a", { tasks: [{ ...task, state: (end("a", { values: broken }).end as { state: StateReport }).state }] }),
    ],
    [
      "one of several",
      end("a", {
        values: long,
        tasks: [
          { ...task, result: long },
          { ...task, result: broken },
        ],
      }),
    ],
  ])("is at fault with a long text that is no JSON: %s", async (_, message) => {
    const told = (await handedOver(message, end("b"))).filter(
      (one) => JSON.stringify(one) !== '{"type":"output","of":[]}',
    );
    expect(told).toEqual(["a", end("b")]);
  });

  it("takes nothing from the others of a message", async () => {
    const told = await handedOver(output(["a", long], ["b", broken], ["c", "1"]));
    expect(told).toEqual([output(["a", long], ["c", "1"]), "b"]);
  });
});
