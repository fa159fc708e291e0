import type { Interrupt } from "../../gen/reins/v1/checkpoint_pb.ts";
import type { Payload } from "../../gen/reins/v1/payload_pb.ts";
import type { RunEvent, RunOutputEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { payloadJson } from "./json/payload.ts";
import { RawJson } from "./json/raw-json.ts";
import { cancellationJson, errorJson, outcomeJson, statusName } from "./json/run.ts";
import { interruptJson } from "./json/thread.ts";
import { type LocationOf, oneOfParameter, type RestRequest } from "./route.ts";

const at = ({ threadId, runId }: { threadId: string; runId: string }) => `/threads/${threadId}/runs/${runId}`;

export const createdAt: LocationOf = (run) => ({ "content-location": at(run) });
export const joinedAt: LocationOf = (run) => ({ location: `${at(run)}/join`, "content-location": at(run) });

/** What a reader of a run's stream asks for beside the run. */
export interface StreamWish {
  /** The event `end` in every case, and not only where nothing else tells how the run ended. */
  readonly alwaysEnds: boolean;
  /** Only output of these graphs of the run, each by the path of its namespace; "" is the run's own graph. Of all when empty. */
  readonly namespaces: readonly string[];
}

export const streamQuery = {
  stream_end: oneOfParameter("end every stream with the event end, also that of a success or an error", ["always"]),
  namespace: "only output of the graphs with this namespace, the run's own being empty; may be repeated",
};

export const wishOf = ({ query }: Pick<RestRequest, "query">): StreamWish => ({
  alwaysEnds: query.oneOf("stream_end", ["always"]) !== undefined,
  namespaces: query.texts("namespace"),
});

/** Whoever comes back to the location gets what was asked for at first. */
export const streamedAt =
  ({ alwaysEnds, namespaces }: StreamWish): LocationOf =>
  (run) => {
    const query = new URLSearchParams(namespaces.map((one): [string, string] => ["namespace", one]));
    if (alwaysEnds) query.set("stream_end", "always");
    const search = query.size > 0 ? `?${query}` : "";
    return { location: `${at(run)}/stream${search}`, "content-location": at(run) };
  };

/** What waiting for a run came to. */
export function waited(end: { run?: Run; values?: Payload; interrupts: readonly Interrupt[] }): RawJson {
  const text = payloadJson(end.values);
  return outcomeJson(end.run!, text === undefined ? undefined : new RawJson(text), end.interrupts.map(interruptJson));
}

/**
 * A run's events as server-sent ones. The first is `metadata`; each has its number as its id, so that a reader can come back
 * with `Last-Event-ID`. Clients take the last event of a success for its result and that of an error for its reason, so that
 * `end` follows only where the run was stopped or timed out, or where it is asked for.
 */
export async function* sentEvents(
  batches: AsyncIterable<{ events: RunEvent[] }>,
  wish: StreamWish,
  attempt = 1,
): AsyncGenerator<string> {
  for await (const { events } of batches) {
    const text = events.map((event) => sentEvent(event, wish, attempt)).join("");
    if (text !== "") yield text;
  }
}

const isStopped = (status: RunStatus): boolean => status === RunStatus.INTERRUPTED || status === RunStatus.TIMEOUT;

function sentEvent({ sequence, event }: RunEvent, { alwaysEnds, namespaces }: StreamWish, attempt: number): string {
  switch (event.case) {
    case "created":
      return frame("metadata", JSON.stringify({ run_id: event.value.runId, attempt }), sequence);
    case "attemptStarted": {
      const { attempt: number, checkpointId } = event.value;
      // The first attempt is in the metadata already.
      if (number === 1) return "";
      return frame("metadata", JSON.stringify({ attempt: number, checkpoint_id: checkpointId || null }), sequence);
    }
    case "output": {
      const isWanted = namespaces.length === 0 || namespaces.includes(event.value.namespace.join("|"));
      return isWanted ? outputFrame(event.value, sequence) : "";
    }
    case "ended": {
      const { status, error, cancellation } = event.value;
      const told = error ? frame("error", JSON.stringify(errorJson(error)), sequence) : "";
      if (!alwaysEnds && !isStopped(status)) return told;
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
