import { describe, expect, it } from "vitest";
import { type MessageChunk, startMessage } from "../../src/rest/thread-stream/streamed-message.ts";

/** All events of a message that comes in these chunks, without its beginning. */
function told(...chunks: Partial<MessageChunk>[]): object[] {
  const { message, events } = startMessage("m1", { model: "some" });
  expect(events).toEqual([{ event: "message-start", role: "ai", id: "m1", metadata: { model: "some" } }]);
  return [...chunks.flatMap((chunk) => message.add({ type: "ai", id: "m1", ...chunk })), ...message.finish()];
}
const start = (index: number, content: object) => ({ event: "content-block-start", index, content });
const delta = (index: number, content: object) => ({ event: "content-block-delta", index, delta: content });
const finish = (index: number, content: object) => ({ event: "content-block-finish", index, content });
const end = { event: "message-finish", usage: undefined };

describe("a streamed message", () => {
  it("is one block while it is only text, and says what it has used", () => {
    const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3 };
    expect(told({ content: "" }, { content: "a" }, { content: "b", usage_metadata: usage })).toEqual([
      start(0, { type: "text", text: "" }),
      delta(0, { type: "text-delta", text: "a" }),
      delta(0, { type: "text-delta", text: "b" }),
      finish(0, { type: "text", text: "ab" }),
      { event: "message-finish", usage },
    ]);
  });

  it("finishes a block before it begins the next", () => {
    const parts = [
      { content: [{ type: "thinking", thinking: "hm", index: 0 }] },
      { content: [{ type: "text", text: "a", index: 1 }] },
      { content: [{ type: "text", text: "b", index: 2 }] },
      { content: [{ type: "image", url: "data:," }] },
      { content: [{ type: "signature", signature: "x" }, "c"] },
    ];
    expect(told(...parts)).toEqual([
      start(0, { type: "reasoning", reasoning: "" }),
      delta(0, { type: "reasoning-delta", reasoning: "hm" }),
      finish(0, { type: "reasoning", reasoning: "hm" }),
      start(1, { type: "text", text: "" }),
      delta(1, { type: "text-delta", text: "a" }),
      finish(1, { type: "text", text: "a" }),
      start(2, { type: "text", text: "" }),
      delta(2, { type: "text-delta", text: "b" }),
      finish(2, { type: "text", text: "b" }),
      start(3, { type: "image", url: "data:," }),
      finish(3, { type: "image", url: "data:," }),
      start(4, { type: "text", text: "" }),
      delta(4, { type: "text-delta", text: "c" }),
      finish(4, { type: "text", text: "c" }),
      end,
    ]);
  });

  it("reads the arguments of tool calls when they are complete", () => {
    const call = { type: "tool_call_chunk", id: "c1", name: "look" };
    const other = { type: "tool_call_chunk", id: "c2", name: "see" };
    const chunks = [
      { tool_call_chunks: [{ index: 0, id: "c1", name: "look", args: "" }] },
      { tool_call_chunks: [{ index: 0, args: '{"a":' }], tool_calls: [{ id: "c1", name: "look", args: {} }] },
      { tool_call_chunks: [{ index: 0, args: "1}" }] },
      { tool_call_chunks: [{ index: 1, id: "c2", name: "see", args: "{" }] },
    ];
    expect(told(...chunks)).toEqual([
      start(0, { ...call, args: "" }),
      delta(0, { type: "block-delta", fields: { ...call, args: '{"a":' } }),
      delta(0, { type: "block-delta", fields: { ...call, args: '{"a":1}' } }),
      finish(0, { type: "tool_call", id: "c1", name: "look", args: { a: 1 } }),
      start(1, { ...other, args: "" }),
      delta(1, { type: "block-delta", fields: { ...other, args: "{" } }),
      finish(1, { type: "invalid_tool_call", id: "c2", name: "see", args: "{", error: expect.any(String) }),
      end,
    ]);
  });

  it("takes the tool calls of a message that comes whole", () => {
    expect(told({ content: "a", tool_calls: [{ id: "c1", name: "look", args: { a: 1 } }] })).toEqual([
      start(0, { type: "text", text: "" }),
      delta(0, { type: "text-delta", text: "a" }),
      finish(0, { type: "text", text: "a" }),
      start(1, { type: "tool_call", id: "c1", name: "look", args: { a: 1 } }),
      finish(1, { type: "tool_call", id: "c1", name: "look", args: { a: 1 } }),
      end,
    ]);
  });
});
