import { setTimeout as sleep } from "node:timers/promises";
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";

export interface Reply {
  readonly text: string;
  readonly toolCall?: { readonly name: string; readonly args: object };
}

/**
 * A chat model without a model behind it: it streams a given reply word by word, as a provider would, needs no key, and stops
 * when the run's signal is aborted.
 */
export class FakeModel extends BaseChatModel {
  readonly #reply: Reply;
  readonly #delayMs: number;

  constructor(reply: Reply, delayMs: number) {
    super({});
    this.#reply = reply;
    this.#delayMs = delayMs;
  }

  override _llmType(): string {
    return "fake";
  }

  override async *_streamResponseChunks(
    _messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    for (const word of this.#reply.text.split(/(?<= )/)) {
      // LangChain hands the run's signal on; real providers pass it to fetch().
      await sleep(this.#delayMs, undefined, { signal: options.signal });
      const chunk = new ChatGenerationChunk({ text: word, message: new AIMessageChunk({ content: word }) });
      yield chunk;
      await runManager?.handleLLMNewToken(word, undefined, undefined, undefined, undefined, { chunk });
    }
    const { toolCall } = this.#reply;
    if (toolCall === undefined) return;
    const call = { index: 0, id: crypto.randomUUID(), name: toolCall.name, args: JSON.stringify(toolCall.args) };
    const message = new AIMessageChunk({ content: "", tool_call_chunks: [{ ...call, type: "tool_call_chunk" }] });
    const chunk = new ChatGenerationChunk({ text: "", message });
    yield chunk;
    await runManager?.handleLLMNewToken("", undefined, undefined, undefined, undefined, { chunk });
  }

  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    let whole: ChatGenerationChunk | undefined;
    for await (const chunk of this._streamResponseChunks(messages, options, runManager)) {
      whole = whole === undefined ? chunk : whole.concat(chunk);
    }
    return { generations: whole === undefined ? [] : [whole] };
  }
}
