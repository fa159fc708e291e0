import type { BaseMessage } from "@langchain/core/messages";
import { AIMessage } from "@langchain/core/messages";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { createAgent, tool } from "langchain";
import { z } from "zod";
import { gate } from "./gate.ts";

/** Calls the tool that the last human message names a gate directory for, then answers. */
class ScriptedModel extends FakeListChatModel {
  override bindTools() {
    return this as never;
  }

  override async _generate(messages: BaseMessage[]) {
    const hasResult = messages.some((message) => message.getType() === "tool");
    const dir = messages.findLast((message) => message.getType() === "human")?.text;
    const message = hasResult
      ? new AIMessage("done")
      : new AIMessage({ content: "", tool_calls: [{ id: "call-1", name: "work", args: { dir } }] });
    return { generations: [{ text: message.text, message }] };
  }
}

/** Never looks at the signal: LangChain itself abandons it when the run is aborted. */
const work = tool(
  async ({ dir }) => {
    await gate(dir, "tool", "deaf", undefined);
    return "worked";
  },
  { name: "work", description: "Works at a gate.", schema: z.object({ dir: z.string() }) },
);

export const agent = createAgent({ model: new ScriptedModel({ responses: [] }), tools: [work] });
