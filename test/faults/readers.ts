import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { OnDisconnect, type Run } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, PayloadFormat, runEvents } from "../../src/client/index.ts";
import { type Caller, createRun, known } from "./creating.ts";
import type { Connection, StreamedEvent } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Member } from "./member.ts";
import { actionOf, statusName, type Witness } from "./witness.ts";
import type { Order } from "./works.ts";

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

/** Reads a run's events to their end, over as many connections as it takes, of which the first may have been made already. */
export async function readToTheEnd(
  witness: Witness,
  reading: Reading,
  signal: AbortSignal,
  first?: Connection,
): Promise<void> {
  const connections: Connection[] = first ? [first] : [];
  witness.readers.push({ run: reading.run, connections });
  for (let last = first; !signal.aborted && (last === undefined || last.end === "cut"); ) {
    const after = last?.got.at(-1)?.sequence ?? last?.after ?? 0;
    last = await joinStream(witness, reading, after, signal);
    connections.push(last);
    if (last.end === "cut") await sleep(50);
  }
}

function joinStream(witness: Witness, reading: Reading, after: number, signal: AbortSignal): Promise<Connection> {
  const { thread, run } = reading;
  const request = { threadId: thread, runId: run, afterSequence: BigInt(after), payloadFormat: PayloadFormat.JSON };
  return connect(witness, reading, after, signal, ({ client }, leave) =>
    client.runs.joinRunStream(request, { signal: leave }),
  );
}

type Stream = (member: Member, signal: AbortSignal) => AsyncIterable<{ readonly events: RunEvent[] }>;

/** Reads from a stream until it ends, is cut or is left, and writes down what it said of the run's end. */
async function connect(
  witness: Witness,
  { run, pick, leavesAfter, isFinal }: Reading,
  after: number,
  signal: AbortSignal,
  start: Stream,
): Promise<Connection> {
  const member = pick();
  const server = member.index;
  const sentAt = machineMs();
  const got: StreamedEvent[] = [];
  const end = await follow(witness, (leave) => start(member, leave), got, leavesAfter?.(), signal);
  const answer = { server, sentAt, at: machineMs() };
  const last = end === "ended" ? got.at(-1)?.end : undefined;
  if (last) witness.told.push({ ...answer, by: "stream", run, ...last, isFinal });
  if (end === "gone") witness.tellGone(answer, "stream", run, isFinal);
  return { server, after, got, end };
}

async function follow(
  witness: Witness,
  stream: (signal: AbortSignal) => AsyncIterable<{ readonly events: RunEvent[] }>,
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
    const refusal = witness.refusalIn(error, "a stream");
    if (refusal === "SEQUENCE_OUT_OF_RANGE") return "out of range";
    return refusal === "THREAD_BUSY" ? "refused" : refusal === undefined ? "cut" : "gone";
  }
}

/** Creates a run and reads its events in one call, and goes on wherever that is cut. */
export async function createAndRead(
  caller: Caller,
  { work, request }: Order,
  how: Pick<Reading, "pick" | "leavesAfter">,
): Promise<Name | undefined> {
  const { witness, giveUp } = caller;
  const name = { threadId: work.threadId, runId: request.runId || randomUUID() };
  const order = { work, request: { ...request, runId: name.runId } };
  const reading = { thread: name.threadId, run: name.runId, ...how };
  witness.works.push(work);
  const first = await connect(witness, reading, 0, giveUp, async function* ({ client }, leave) {
    const stream = client.runs.streamRun(
      { create: order.request, payloadFormat: PayloadFormat.JSON },
      { signal: leave },
    );
    for await (const message of stream) {
      if (work.answeredAt === undefined) known(witness, order, { at: machineMs() }, name);
      yield message;
    }
  });
  if (work.answeredAt !== undefined) {
    await readToTheEnd(witness, reading, giveUp, first);
    return name;
  }
  if (first.end === "refused") {
    work.outcome = "refused";
    return undefined;
  }
  const created = await createRun(caller, order, true);
  if (created) await readToTheEnd(witness, reading, giveUp);
  return created;
}

type Name = Pick<Run, "threadId" | "runId">;

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
  const stream = (leave: AbortSignal) => pick().client.runs.joinRunStream(request, { signal: leave });
  await follow(witness, stream, [], leavesAfter?.(), signal);
}
