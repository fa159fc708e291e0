import type { Entry } from "../../../src/domain/thread/entry.ts";
import type { RememberedState } from "../../../src/domain/thread.ts";
import type { Written } from "../engine/simulated-engine.ts";
import { laneOf } from "./stored.ts";

/** What has been stored, for the reader of a trace. */
export function inWords({ collection, before, after }: Written): string {
  const id = (after ?? before)!._id;
  if (!after) return `- ${collection} ${id} is gone`;
  const doc = after as Record<string, unknown>;
  switch (collection) {
    case "threads":
      return `= thread ${id}: ${doc.rev === undefined ? "removed" : laneInWords(after)}`;
    case "runs":
    case "tombstones":
      return `= ${collection} ${id}: ${doc.phase} ${doc.status}, ${doc.changes} changes, made ${doc.made}`;
    case "run_events":
      return `= events ${doc.run_id}, chunk ${doc.chunk}${doc.gate ? ", a gate" : ` to ${doc.last}`}, token ${doc.token}`;
    case "checkpoints":
      return `= slot ${doc.slot} of ${doc.run_id ?? "nobody"}${doc.fences ? `, a gate for ${doc.fences}` : `, token ${doc.token}`}`;
    case "watches":
      return `= watches ${id}: of ${doc.run_id ?? "nobody"} at ${doc.server ?? "no server"}${doc.if_last ? ", if last" : ""}${doc.left ? ", left" : ""}${doc.expire_at ? ", barred" : ""}`;
    default:
      return `= ${collection} ${id}`;
  }
}

function laneInWords(doc: Written["after"]): string {
  const { entries, holder } = laneOf(doc as never);
  const held = holder ? [`held for ${holder.kind} ${holder.id} by ${holder.server}`] : [];
  const removing = doc!.removing ? ["being removed"] : [];
  const state = doc!.state ? (JSON.parse(doc!.state as string) as RememberedState) : undefined;
  const remembered = state ? [`state ${state.checkpointId} of ${state.n}`] : [];
  return [...held, ...removing, ...entries.map(entryInWords), ...remembered].join(", ") || "empty";
}

function entryInWords({ run, phase, lease, cancel, end, due, owed, attempt }: Entry): string {
  const words = [run, phase, end?.status, cancel && `cancel ${cancel.action}`, due !== undefined && "delayed"];
  if (attempt) words.push(`attempt ${attempt}`);
  if (lease) words.push(`lease ${lease.token} of ${lease.server}`);
  if (lease?.tokensToFence) words.push(`to fence ${lease.tokensToFence.join(" ")}`);
  if (owed) words.push(`owed by ${owed.server}`);
  return words.filter(Boolean).join(" ");
}
