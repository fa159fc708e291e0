import { isObject } from "../../domain/is-object.ts";
/** One message of a model while it comes, as the events of LangChain's streaming protocol: blocks, one after the other. */
export interface StreamedMessage {
  readonly id: string;
  /** What a chunk of it adds. */
  add(chunk: MessageChunk): object[];
  /** Its end; nothing may be added after it. */
  finish(): object[];
}

/** A message, or a chunk of one, as LangGraph puts it out. */
export interface MessageChunk {
  readonly type: string;
  readonly id?: string;
  readonly content?: string | readonly ContentPart[];
  readonly tool_call_chunks?: readonly ToolCallPart[];
  readonly tool_calls?: readonly { id?: string; name: string; args: object }[];
  readonly usage_metadata?: object;
}

type ContentPart = string | (Readonly<Record<string, unknown>> & { readonly type?: string; readonly index?: number });

interface ToolCallPart {
  readonly index?: number;
  readonly id?: string | null;
  readonly name?: string | null;
  readonly args?: string | null;
}

/** A block that is being written. */
interface OpenBlock {
  /** Tells whether what comes next belongs to it. */
  readonly key: string;
  readonly index: number;
  /** What it has become; `text`, `reasoning` and `args` grow. */
  readonly content: Record<string, unknown>;
}

/** Blocks that come whole. */
const wholeTypes = new Set([
  "image",
  "audio",
  "video",
  "file",
  "server_tool_call",
  "server_tool_result",
  "non_standard",
]);

/** Begins a message. `metadata` says which model writes it. */
export function startMessage(id: string, metadata: object): { message: StreamedMessage; events: object[] } {
  let open: OpenBlock | undefined;
  let count = 0;
  let usage: object | undefined;

  const start = (key: string, content: Record<string, unknown>): object[] => {
    const ended = close();
    open = { key, index: count++, content };
    return [...ended, { event: "content-block-start", index: open.index, content: { ...content } }];
  };
  const close = (): object[] => {
    if (!open) return [];
    const { index, content } = open;
    open = undefined;
    return [{ event: "content-block-finish", index, content: finished(content) }];
  };
  const addWhole = (content: Record<string, unknown>): object[] => [...start(`whole ${count}`, content), ...close()];

  /** Adds to the text of a block, and begins it if need be. */
  function grow(type: "text" | "reasoning", part: number | undefined, more: string): object[] {
    if (more === "") return [];
    const key = `${type} ${part ?? ""}`;
    const begun = open?.key === key ? [] : start(key, { type, [type]: "" });
    open!.content[type] += more;
    return [
      ...begun,
      { event: "content-block-delta", index: open!.index, delta: { type: `${type}-delta`, [type]: more } },
    ];
  }

  function growToolCall({ index, id: callId, name, args }: ToolCallPart): object[] {
    const key = `tool ${index ?? callId ?? ""}`;
    const isNew = open?.key !== key;
    const begun = isNew
      ? start(key, { type: "tool_call_chunk", id: callId ?? null, name: name ?? null, args: "" })
      : [];
    const { content } = open!;
    content.id ??= callId ?? null;
    content.name ??= name ?? null;
    if (!args) return begun;
    content.args += args;
    // The whole argument so far, which replaces what was there: not every reader knows a delta that adds to it.
    return [
      ...begun,
      { event: "content-block-delta", index: open!.index, delta: { type: "block-delta", fields: { ...content } } },
    ];
  }

  function addPart(part: ContentPart): object[] {
    if (typeof part === "string") return grow("text", undefined, part);
    const { type, index } = part;
    if (typeof part.text === "string") return grow("text", index, part.text);
    const reasoning = part.reasoning ?? part.thinking;
    if (typeof reasoning === "string") return grow("reasoning", index, reasoning);
    return type !== undefined && wholeTypes.has(type) ? addWhole({ ...part }) : [];
  }

  const message: StreamedMessage = {
    id,
    add({ content = "", tool_call_chunks: chunks = [], tool_calls: calls = [], usage_metadata }) {
      usage = usage_metadata ?? usage;
      const parts = (typeof content === "string" ? [content] : content).flatMap(addPart);
      if (chunks.length > 0) return [...parts, ...chunks.flatMap(growToolCall)];
      const missing = calls.filter((call) => call.id === undefined || open?.content.id !== call.id);
      const whole = missing.flatMap(({ id: callId, name, args }) =>
        addWhole({ type: "tool_call", id: callId ?? null, name, args }),
      );
      return [...parts, ...whole];
    },
    finish: () => [...close(), { event: "message-finish", usage }],
  };
  return { message, events: [{ event: "message-start", role: "ai", id, metadata }] };
}

/** What a block is when it is complete: a tool call's arguments are read. */
function finished(content: Record<string, unknown>): object {
  if (content.type !== "tool_call_chunk") return content;
  const { id, name, args } = content as { id: string | null; name: string | null; args: string };
  try {
    const read: unknown = JSON.parse(args || "{}");
    if (isObject(read) && name !== null) {
      return { type: "tool_call", id, name, args: read };
    }
  } catch {
    // Told below, like any other arguments that are no object.
  }
  return { type: "invalid_tool_call", id, name, args, error: "The arguments are no JSON object." };
}
