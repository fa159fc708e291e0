import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import type { OnCompletion } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, toPayload } from "../../src/client/index.ts";
import type { Dump } from "./dump.ts";
import { endOf, readEvents } from "./event-reader.ts";
import { createGates, until } from "./gates.ts";
import type { SpecInit } from "./run-kit.ts";
import { type Learned, learned } from "./run-watchers.ts";
import type { TestApp } from "./test-app.ts";

/** How a caller learned of a stateless run's end, and what was in the state by then. */
export interface Told extends Learned {
  readonly from: "answer" | "stream";
  /** The steps that had been completed; absent when there were no values. */
  readonly log: readonly string[] | undefined;
}

export interface StatelessName {
  readonly threadId: string;
  readonly runId: string;
}

/** Resolves when no temporary thread is left. */
export const temporaryThreadsAreGone = ({ db }: Pick<TestApp, "db">): Promise<void> =>
  until(async () => (await db.collection("threads").countDocuments({ temporary: true })) === 0);

/** What is stored of the request that made a batch. */
export const batchRequest = ({ db }: Pick<TestApp, "db">, requestId: string) =>
  db.collection("requests").findOne({ _id: `batch:${requestId}` as never });

/** What is stored beside the requests themselves. */
export const besideRequests = ({ requests: _, ...others }: Dump): Dump => others;

/** Short ways to start stateless runs of a test agent, and to attach to them. */
export function createStatelessKit(app: Pick<TestApp, "client">, graph = "gated") {
  const { runs } = app.client;
  const gates = createGates();
  const spec = (input: object, more: SpecInit & { onCompletion?: OnCompletion } = {}): SpecInit => ({
    assistantId: graph,
    input: toPayload({ dir: gates.dir, ...input }),
    ...more,
  });

  const logOf = (values: Parameters<typeof fromPayload>[0]) =>
    values && (fromPayload(values) as { log?: string[] }).log;

  /** The steps that the last state on the stream shows. */
  const lastLog = (events: readonly RunEvent[]) => {
    const output = events.findLast(({ event }) => event.case === "output")?.event;
    return output?.case === "output" ? logOf(output.value.data) : undefined;
  };

  async function toldByStream(reader: ReturnType<typeof readEvents>): Promise<Told> {
    const error = await reader.ended;
    if (error) throw error;
    const sequences = reader.sequences();
    if (sequences.some((sequence, i) => sequence !== i + 1)) throw new Error(`sequences ${sequences}`);
    const end = endOf(reader.events);
    if (!end) throw new Error("no terminal event");
    return { ...learned(end), from: "stream", log: lastLog(reader.events) };
  }

  /** Whoever leaves does not want to know. */
  function unlessIgnored(told: Promise<Told>): Promise<Told> {
    told.catch(() => {});
    return told;
  }

  return {
    gates,
    spec,
    /** One of a batch. */
    item: (step: string, more: SpecInit = {}) => ({ spec: spec({ steps: [step] }, more) }),
    async create(input: object = {}, more: SpecInit = {}): Promise<StatelessName> {
      const { threadId, runId } = (await runs.createRun({ spec: spec(input, more) })).run!;
      return { threadId, runId };
    },
    /** Creates with a call that waits; `told` resolves to what it answers. */
    async wait(input: object = {}, more: SpecInit = {}) {
      const runId = crypto.randomUUID();
      const answer = runs.waitRun({ create: { runId, spec: spec(input, more) } });
      answer.catch(() => {});
      let threadId = "";
      await until(async () => {
        threadId = (await runs.listRuns({})).runs.find((run) => run.runId === runId)?.threadId ?? "";
        return threadId !== "";
      });
      const told = answer.then(({ run, values }): Told => ({ ...learned(run!), from: "answer", log: logOf(values) }));
      return { threadId, runId, told: unlessIgnored(told) };
    },
    /** Creates with a call that streams. */
    async stream(input: object = {}, more: SpecInit = {}) {
      const reader = readEvents((signal) => runs.streamRun({ create: { spec: spec(input, more) } }, { signal }));
      await reader.received(1);
      const created = reader.events[0]!.event;
      if (created.case !== "created") throw new Error("the first event does not name the run");
      const { threadId, runId } = created.value;
      return { threadId, runId, reader, told: unlessIgnored(toldByStream(reader)) };
    },
    async join(name: StatelessName): Promise<Told> {
      const { run, values } = await runs.joinRun({ threadId: name.threadId, runId: name.runId });
      return { ...learned(run!), from: "answer", log: logOf(values) };
    },
    async joinStream({ threadId, runId }: StatelessName) {
      const reader = readEvents((signal) => runs.joinRunStream({ threadId, runId }, { signal }));
      await reader.received(1);
      return { reader, told: unlessIgnored(toldByStream(reader)) };
    },
  };
}

export type StatelessKit = ReturnType<typeof createStatelessKit>;
