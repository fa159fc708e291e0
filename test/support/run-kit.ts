import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Run, RunSpecSchema } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { createGates, type Gates } from "./gates.ts";
import type { TestApp } from "./test-app.ts";

export type SpecInit = MessageInitShape<typeof RunSpecSchema>;

/** A thread, and short ways to start and read runs of the test agents on it. */
export async function createRunKit(app: Pick<TestApp, "client">, graph = "gated") {
  const { client } = app;
  const threadId = (await client.threads.createThread({})).thread!.threadId;
  const gates: Gates = createGates();

  const spec = (input: object | null, more: SpecInit = {}): SpecInit => ({
    assistantId: graph,
    input: input === null ? undefined : toPayload({ dir: gates.dir, ...input }),
    ...more,
  });

  return {
    client: client as ReinsClient,
    threadId,
    gates,
    spec,
    /** Creates a run; `null` input goes on from where the thread stands. */
    async start(input: object | null = {}, more: SpecInit = {}, runId?: string): Promise<Run> {
      return (await client.runs.createRun({ threadId, runId, spec: spec(input, more) })).run!;
    },
    async get(runId: string): Promise<Run> {
      return (await client.runs.getRun({ threadId, runId })).run!;
    },
    async join(runId: string): Promise<Run> {
      return (await client.runs.joinRun({ threadId, runId, omitValues: true })).run!;
    },
    async state() {
      const { state } = await client.threads.getThreadState({ threadId });
      return { ...state!, values: fromPayload(state!.values) as Record<string, unknown> | undefined };
    },
    async history() {
      return (await client.threads.listThreadHistory({ threadId, limit: 1000 })).states;
    },
    async thread() {
      return (await client.threads.getThread({ threadId })).thread!;
    },
  };
}

export type RunKit = Awaited<ReturnType<typeof createRunKit>>;
