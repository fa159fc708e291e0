import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RunEvent } from "../../../gen/reins/v1/run_event_pb.ts";
import { ThreadService } from "../../../gen/reins/v1/thread_service_pb.ts";
import { RestError, toRestError } from "../errors.ts";
import type { OnRunExists } from "../invoke.ts";
import { cancellationJson, errorJson, statusName } from "../json/run.ts";
import { json, namesParameter, type RestRequest, type Route, route } from "../route.ts";
import { frame, outputFrame } from "../run-answers.ts";
import { runPayloads } from "../run-body.ts";
import { answerCommand, commandBody } from "../thread-stream/commands.ts";
import { type FollowStart, followThread } from "../thread-stream/follow-thread.ts";
import { createProtocolEvents, timeOfNumber } from "../thread-stream/protocol-events.ts";
import type { RunCreated } from "../thread-stream/run-created.ts";
import { isWanted, type Subscription, subscriptionBody } from "../thread-stream/subscription.ts";
import type { BegunRun } from "../thread-stream/thread-runs.ts";
import { createErrors } from "./create-runs.ts";

export interface ThreadStreamParts {
  readonly graphs: readonly string[];
  readonly runCreated: RunCreated;
  /** Aborted when the server ends: a stream that waits for nothing else ends then. */
  readonly shutdownSignal: AbortSignal;
}

/** How often a stream that has nothing to tell looks for runs that were created in other servers. */
const pollMs = 1_000;

const modes = ["run_modes", "lifecycle"];

/** Where a reader of a thread's stream was: at an event of a run, which began at a time. */
interface Place extends Pick<BegunRun, "at"> {
  readonly runId: string;
  readonly sequence: bigint;
}

const placeText = ({ run, at }: BegunRun, sequence: bigint): string => `${at}-${run.runId}-${sequence}`;

function readPlace(text: string): Place | undefined {
  const [, at, runId, sequence] = /^(\d{1,15})-([0-9a-f-]{36})-(\d{1,15})$/.exec(text) ?? [];
  return sequence === undefined ? undefined : { at: Number(at), runId: runId!, sequence: BigInt(sequence) };
}

/** From now on; all that is kept; or after the event that the reader has seen last. */
function startOf({ header }: RestRequest): FollowStart {
  const last = header("last-event-id") ?? "";
  if (last === "") return "now";
  if (last === "-1" || last === "0") return "all";
  const place = readPlace(last);
  if (!place) {
    throw new RestError(
      422,
      "Last-Event-ID must be the id of an event of this thread's stream, or -1 or 0 for all of them",
    );
  }
  return {
    isPast: ({ run, at }) => at < place.at || (at === place.at && run.runId < place.runId),
    after: ({ run }) => (run.runId === place.runId ? place.sequence : undefined),
  };
}

/** One event of a run as the thread's stream tells it: like the run's own, but that its end is not the stream's. */
function sentEvent(begun: BegunRun, { sequence, event }: RunEvent, withOutput: boolean): string {
  const { runId } = begun.run;
  const id = placeText(begun, sequence);
  switch (event.case) {
    case "created":
      return frame("metadata", JSON.stringify({ run_id: runId, attempt: begun.run.attempt || 1 }), id);
    case "output":
      return withOutput ? outputFrame(event.value, id) : "";
    case "ended": {
      const { status, error, cancellation } = event.value;
      // It has the number of the event before it: a reader that was cut off between the two gets both again.
      const told =
        error && withOutput ? frame("error", JSON.stringify(errorJson(error)), placeText(begun, sequence - 1n)) : "";
      const end = {
        status: "run_done",
        run_id: runId,
        run_status: statusName(status),
        cancellation: cancellation ? cancellationJson(cancellation) : null,
      };
      return told + frame("metadata", JSON.stringify(end), id);
    }
    default:
      return "";
  }
}

function modesOf({ query }: RestRequest): boolean {
  const wanted = [...query.list("stream_modes"), ...query.list("stream_mode")];
  const unknown = wanted.find((name) => !modes.includes(name));
  if (unknown !== undefined) {
    throw new RestError(422, `stream_modes ${JSON.stringify(unknown)} is not offered; there are ${modes.join(", ")}`);
  }
  return wanted.length === 0 || wanted.includes("run_modes");
}

function startAt({ since }: Subscription): FollowStart {
  if (since === undefined) return "newest";
  const time = timeOfNumber(since);
  // A run's numbers may go beyond its own time, but not beyond its end.
  return { isPast: ({ run: { endedAt } }) => endedAt !== undefined && timestampMs(endedAt) < time };
}

/** Routes of a thread's whole stream: the events of all its runs, and LangChain's streaming protocol. */
export function threadStreamRoutes({ graphs, runCreated, shutdownSignal }: ThreadStreamParts): Route[] {
  const errors = createErrors(graphs);
  /** Known, and so answered, when the client may count on whatever it does then to be told. */
  const follow = (
    { params, identity, invoke, signal }: RestRequest<unknown>,
    start: FollowStart,
    onRunExists: OnRunExists,
  ) => {
    const threadId = params.thread_id!;
    const { owner } = identity;
    return followThread({
      invoke,
      owner,
      threadId,
      start,
      runCreated,
      pollMs,
      signal: AbortSignal.any([signal, shutdownSignal]),
      ready: () => onRunExists({ owner, threadId, runId: "" }),
    });
  };
  const checkThread = ({ params, invoke }: RestRequest<unknown>) =>
    invoke.call(ThreadService.method.getThread, { threadId: params.thread_id!, omitValues: true });

  return [
    route({
      method: "GET",
      path: "/threads/:thread_id/stream",
      is: "Streams the output of all runs of a thread, until the client leaves: from now on, or after Last-Event-ID.",
      lasts: true,
      query: {
        stream_modes: namesParameter("what to tell; run_modes by default", modes),
        stream_mode: namesParameter("the same", modes),
      },
      async handle(request) {
        const threadId = request.params.thread_id!;
        const [withOutput, start] = [modesOf(request), startOf(request)];
        await checkThread(request);
        return {
          kind: "events",
          location: () => ({ location: `/threads/${threadId}/stream` }),
          async *events(onRunExists) {
            for await (const part of follow(request, start, onRunExists)) {
              const text = part.events.map((event) => sentEvent(part, event, withOutput)).join("");
              if (text !== "") yield text;
            }
          },
        };
      },
    }),
    route({
      method: "POST",
      path: "/threads/:thread_id/stream/events",
      is: "Streams a thread's events in LangChain's streaming protocol, until the client leaves.",
      body: subscriptionBody,
      lasts: true,
      async handle(request) {
        await checkThread(request);
        return {
          kind: "events",
          async *events(onRunExists) {
            let current: { runId: string; tell: ReturnType<typeof createProtocolEvents> } | undefined;
            for await (const part of follow(request, startAt(request.body), onRunExists)) {
              const { runId } = part.run;
              if (current?.runId !== runId) current = { runId, tell: createProtocolEvents(part) };
              const wanted = part.events.flatMap(current.tell).filter((event) => isWanted(event, request.body));
              if (wanted.length > 0)
                yield wanted.map(({ channel, seq, text }) => frame(channel, text, String(seq))).join("");
            }
          },
        };
      },
    }),
    route({
      method: "POST",
      path: "/threads/:thread_id/commands",
      is: "Does what a command of LangChain's streaming protocol says: starts runs, answers interrupts, reads states.",
      body: commandBody,
      payloads: [...runPayloads, "response"],
      errors,
      async handle({ params, body, invoke }) {
        const tell = (error: unknown) => toRestError(error, errors);
        return json(await answerCommand(body, { invoke, threadId: params.thread_id!, tell }));
      },
    }),
  ];
}
