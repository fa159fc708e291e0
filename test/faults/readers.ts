import { setTimeout as sleep } from "node:timers/promises";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { OnDisconnect } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload, PayloadFormat, runEvents } from "../../src/client/index.ts";
import type { Connection, StreamedEvent } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Member } from "./member.ts";
import { actionOf, statusName, type Witness } from "./witness.ts";

type Stream = (signal: AbortSignal) => AsyncIterable<{ readonly events: RunEvent[] }>;

/** What a reader is to read, and how restless it is. */
export interface Reading {
  readonly thread: string;
  readonly run: string;
  /** Which server the next connection goes to. */
  readonly pick: () => Member;
  /** After how many events it leaves and comes again; undefined: it stays. */
  readonly leavesAfter?: () => number | undefined;
  readonly isFinal?: boolean;
}

/** Reads a run's events to their end, over as many connections as it takes. */
export async function readToTheEnd(witness: Witness, reading: Reading, signal: AbortSignal): Promise<void> {
  const connections: Connection[] = [];
  witness.readers.push({ run: reading.run, connections });
  for (let after = 0; !signal.aborted; ) {
    const connection = await connect(witness, reading, after, signal);
    connections.push(connection);
    if (connection.end !== "cut") return;
    after = connection.got.at(-1)?.sequence ?? after;
    await sleep(50);
  }
}

async function connect(witness: Witness, reading: Reading, after: number, signal: AbortSignal): Promise<Connection> {
  const { thread, run, pick, leavesAfter } = reading;
  const { client, index: server } = pick();
  const sentAt = machineMs();
  const request = { threadId: thread, runId: run, afterSequence: BigInt(after), payloadFormat: PayloadFormat.JSON };
  const stream: Stream = (leave) => client.runs.joinRunStream(request, { signal: leave });
  const got: StreamedEvent[] = [];
  const end = await follow(stream, got, leavesAfter?.(), signal);
  const at = machineMs();
  const last = end === "ended" ? got.at(-1)?.end : undefined;
  if (last) witness.told.push({ server, sentAt, at, by: "stream", run, ...last, isFinal: reading.isFinal });
  if (end === "gone") witness.tellGone({ server, sentAt, at }, "stream", run, reading.isFinal);
  return { server, after, got, end };
}

async function follow(
  stream: Stream,
  got: StreamedEvent[],
  leavesAfter: number | undefined,
  signal: AbortSignal,
): Promise<Connection["end"]> {
  try {
    for await (const event of runEvents(stream, signal)) {
      got.push(streamed(event));
      if (got.length === leavesAfter && event.event.case !== "ended") return "cut";
    }
    return got.at(-1)?.kind === "ended" ? "ended" : "closed";
  } catch (error) {
    const reason = errorReason(error);
    return reason === "RUN_NOT_FOUND" ? "gone" : reason === "SEQUENCE_OUT_OF_RANGE" ? "out of range" : "cut";
  }
}

function streamed({ sequence, event }: RunEvent): StreamedEvent {
  const says = (kind: StreamedEvent["kind"], what: unknown): StreamedEvent => ({
    sequence: Number(sequence),
    kind,
    says: `${kind} ${JSON.stringify(what)}`,
  });
  switch (event.case) {
    case "created":
      return says("created", event.value.runId);
    case "attemptStarted":
      return says("attempt", [event.value.attempt, event.value.checkpointId]);
    case "ended": {
      const end = ending(event.value);
      return { ...says("ended", end), end };
    }
    default:
      return says("output", [event.value?.name, fromPayload(event.value?.data)]);
  }
}

function ending({ status, cancellation, error }: Extract<RunEvent["event"], { case: "ended" }>["value"]) {
  return { status: statusName(status), action: actionOf(cancellation), error: error?.name };
}

/** Reads a run's events for a while and leaves for good, which cancels the run. */
export async function readAndLeave(witness: Witness, reading: Reading, signal: AbortSignal): Promise<void> {
  const { thread, run, pick, leavesAfter } = reading;
  witness.asked.push({ by: "leave", thread, run, action: "interrupt", sentAt: machineMs(), isKept: false });
  const request = {
    threadId: thread,
    runId: run,
    onDisconnect: OnDisconnect.CANCEL,
    payloadFormat: PayloadFormat.JSON,
  };
  await follow((leave) => pick().client.runs.joinRunStream(request, { signal: leave }), [], leavesAfter?.(), signal);
}
