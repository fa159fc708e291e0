import { createHash } from "node:crypto";
import type { AssistantFilter, AssistantPosition } from "./assistant.ts";
import { DomainError } from "./errors.ts";

/** Where a page ended: among the graphs' own assistants, which come first, or among the configured ones. */
export type AssistantPageEnd = { readonly graph: string } | AssistantPosition;

/** Opaque to clients, and bound to the filter by a hash of it, so that it is not used with another one by mistake. */
export function assistantPageToken(end: AssistantPageEnd, filter: AssistantFilter): string {
  const at = "graph" in end ? [end.graph] : [end.createdAt.getTime(), end.assistantId];
  return Buffer.from(JSON.stringify([hash(filter), ...at])).toString("base64url");
}

/** Throws INVALID_PAGE_TOKEN for anything but a token that was given out for this filter. */
export function readAssistantPageToken(token: string, filter: AssistantFilter): AssistantPageEnd | undefined {
  if (token === "") return undefined;
  try {
    const [filterHash, at, assistantId] = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (filterHash === hash(filter)) {
      if (typeof at === "string" && assistantId === undefined) return { graph: at };
      if (typeof at === "number" && typeof assistantId === "string") return { createdAt: new Date(at), assistantId };
    }
  } catch {
    // Not one of ours.
  }
  throw new DomainError(
    "INVALID_PAGE_TOKEN",
    "page_token: must be the next_page_token of an answer to the same filter, or empty for the first page",
    { metadata: { field: "page_token" } },
  );
}

const hash = (filter: AssistantFilter): string =>
  createHash("sha256").update(JSON.stringify(filter)).digest("base64url").slice(0, 16);
