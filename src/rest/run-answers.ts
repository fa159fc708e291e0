import type { Interrupt } from "../../gen/reins/v1/checkpoint_pb.ts";
import type { Payload } from "../../gen/reins/v1/payload_pb.ts";
import type { RunEvent, RunOutputEvent } from "../../gen/reins/v1/run_event_pb.ts";
import type { Run } from "../../gen/reins/v1/run_pb.ts";
import { payloadJson } from "./json/payload.ts";
import { RawJson } from "./json/raw-json.ts";
import { cancellationJson, errorJson, outcomeJson, statusName } from "./json/run.ts";
import { interruptJson } from "./json/thread.ts";
import type { LocationOf } from "./route.ts";

const at = ({ threadId, runId }: { threadId: string; runId: string }) => `/threads/${threadId}/runs/${runId}`;

export const createdAt: LocationOf = (run) => ({ "content-location": at(run) });
export const joinedAt: LocationOf = (run) => ({ location: `${at(run)}/join`, "content-location": at(run) });
export const streamedAt: LocationOf = (run) => ({ location: `${at(run)}/stream`, "content-location": at(run) });

/** What waiting for a run came to. */
export function waited(end: { run?: Run; values?: Payload; interrupts: readonly Interrupt[] }): RawJson {
  const text = payloadJson(end.values);
  return outcomeJson(end.run!, text === undefined ? undefined : new RawJson(text), end.interrupts.map(interruptJson));
}

/**
 * A run's events as server-sent ones. The first is `metadata`, and the last is `end`; each has its number as its id, so that a
 * reader can come back with `Last-Event-ID`.
 */
export async function* sentEvents(batches: AsyncIterable<{ events: RunEvent[] }>, attempt = 1): AsyncGenerator<string> {
  for await (const { events } of batches) {
    const text = events.map((event) => sentEvent(event, attempt)).join("");
    if (text !== "") yield text;
  }
}

function sentEvent({ sequence, event }: RunEvent, attempt: number): string {
  switch (event.case) {
    case "created":
      return frame("metadata", JSON.stringify({ run_id: event.value.runId, attempt }), sequence);
    case "attemptStarted": {
      const { attempt: number, checkpointId } = event.value;
      // The first attempt is in the metadata already.
      if (number === 1) return "";
      return frame("metadata", JSON.stringify({ attempt: number, checkpoint_id: checkpointId || null }), sequence);
    }
    case "output":
      return outputFrame(event.value, sequence);
    case "ended": {
      const { status, error, cancellation } = event.value;
      const told = error ? frame("error", JSON.stringify(errorJson(error)), sequence) : "";
      const end = { status: statusName(status), cancellation: cancellation ? cancellationJson(cancellation) : null };
      return told + frame("end", JSON.stringify(end), sequence);
    }
    default:
      return "";
  }
}

/** What a graph has put out, named for its mode and the path of its subgraph. */
export const outputFrame = ({ name, namespace, data }: RunOutputEvent, id: bigint | string): string =>
  frame([name, ...namespace].join("|"), payloadJson(data)!, id);

/**
 * JSON has line breaks only between its tokens, and names of nodes need none: neither can end a line of the stream. Without an
 * id its reader stays where it is.
 */
export function frame(name: string, json: string, id?: bigint | string): string {
  const idLine = id === undefined ? "" : `id: ${id}\r\n`;
  return `event: ${oneLine(name)}\r\ndata: ${oneLine(json)}\r\n${idLine}\r\n`;
}

const oneLine = (text: string): string => (/[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, " ") : text);
