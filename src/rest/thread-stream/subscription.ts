import { z } from "zod";
import { optional } from "../json/body-shapes.ts";
import type { ProtocolEvent } from "./protocol-events.ts";

const channels = ["values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom"];

/** What a reader of a thread's events wants to have. */
export const subscriptionBody = z.object({
  channels: z.array(
    z.string().refine((name) => channels.includes(name) || name.startsWith("custom:"), {
      error: `no channel; there are ${channels.join(", ")} and custom:<name>`,
    }),
  ),
  /** Only below these paths; a segment without a colon stands for all with that name. */
  namespaces: optional(z.array(z.array(z.string()))),
  /** How far below them at most. */
  depth: optional(z.int().min(0)),
  /** Only what has a higher number. */
  since: optional(z.int().min(0)),
});
export type Subscription = z.infer<typeof subscriptionBody>;

export function isWanted({ channel, namespace, seq }: ProtocolEvent, wanted: Subscription): boolean {
  const { channels: names, namespaces = [], depth, since } = wanted;
  if (since !== undefined && seq <= since) return false;
  if (!names.includes(channel)) return false;
  if (namespaces.length === 0) return true;
  return namespaces.some(
    (prefix) => isBelow(namespace, prefix) && (depth === undefined || namespace.length - prefix.length <= depth),
  );
}

const isBelow = (path: readonly string[], prefix: readonly string[]): boolean =>
  prefix.length <= path.length &&
  prefix.every((segment, place) => segment === path[place] || segment === path[place]!.split(":", 1)[0]);
