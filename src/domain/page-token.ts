import { createHash } from "node:crypto";
import { DomainError } from "./errors.ts";
import type { LiveFilter, RunFilter, RunPosition } from "./stores.ts";

/**
 * A page token is opaque to clients. It holds where the page ended and a hash of the filters, so that a token is not used
 * with others by mistake.
 */
export function pageToken(position: RunPosition, filter: RunFilter | LiveFilter): string {
  const parts = [position.createdAt.getTime(), position.runId, hash(filter)];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** Throws INVALID_PAGE_TOKEN for anything but a token that was given out for these filters. */
export function readPageToken(token: string, filter: RunFilter | LiveFilter): RunPosition | undefined {
  if (token === "") return undefined;
  try {
    const [time, runId, filterHash] = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (typeof time === "number" && typeof runId === "string" && filterHash === hash(filter)) {
      return { createdAt: new Date(time), runId };
    }
  } catch {
    // Not one of ours.
  }
  throw new DomainError(
    "INVALID_PAGE_TOKEN",
    "page_token: must be the next_page_token of an answer to the same filters, or empty for the first page",
    { metadata: { field: "page_token" } },
  );
}

const hash = (filter: RunFilter | LiveFilter): string =>
  createHash("sha256").update(JSON.stringify(filter)).digest("base64url").slice(0, 16);
