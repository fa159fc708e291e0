import { fileURLToPath } from "node:url";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect } from "vitest";
import type { Checkpoint, ThreadState } from "../../gen/reins/v1/checkpoint_pb.ts";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type {
  GetThreadStateRequestSchema,
  UpdateThreadStateRequestSchema,
} from "../../gen/reins/v1/thread_service_pb.ts";
import { fromPayload, toPayload } from "../../src/client/index.ts";
import { until } from "./gates.ts";
import { createRunKit, type SpecInit } from "./run-kit.ts";
import type { TestApp } from "./test-app.ts";

/** Graphs for what is done with states: subgraphs, questions, code that refuses. */
export const stateGraphs = fileURLToPath(new URL("../agents/state-graphs.json", import.meta.url));

type UpdateInit = MessageInitShape<typeof UpdateThreadStateRequestSchema>;
type StateInit = MessageInitShape<typeof GetThreadStateRequestSchema>;
export type Values = Record<string, unknown> & { log?: string[] };

export const valuesOf = (state: Pick<ThreadState, "values"> | undefined): Values =>
  (fromPayload(state?.values) ?? {}) as Values;
export const logOf = (state: Pick<ThreadState, "values"> | undefined): string[] => valuesOf(state).log ?? [];

/** A thread with short ways to run, stop, edit and look. */
export async function createStateKit(app: Pick<TestApp, "client">, graph = "gated") {
  const kit = await createRunKit(app, graph);
  const { client, threadId } = kit;
  /** Resolves when the step has begun once more, after `begun` steps. */
  const reached = (step: string, begun: number) => until(() => kit.gates.steps().slice(begun).includes(step));
  return {
    ...kit,
    /** Runs to the end that is expected. */
    async run(input: object | null, more: SpecInit = {}, status: RunStatus = RunStatus.SUCCESS) {
      const over = await kit.join((await kit.start(input, more)).runId);
      expect([over.status, over.error?.message]).toEqual([status, over.error?.message]);
      return over;
    },
    cancel: (runId: string, action: CancelAction = CancelAction.INTERRUPT) =>
      client.runs.cancelRun({ threadId, runId, action, wait: true }),
    reached,
    /** Starts a run, waits until it has begun the step and stops it there. */
    async stopAt(
      step: string,
      input: object | null,
      more: SpecInit = {},
      action: CancelAction = CancelAction.INTERRUPT,
    ) {
      const begun = kit.gates.steps().length;
      const { runId } = await kit.start(input, more);
      await reached(step, begun);
      await client.runs.cancelRun({ threadId, runId, action, wait: true });
      return runId;
    },
    async update(values: object | null | undefined, more: UpdateInit = {}): Promise<Checkpoint> {
      const payload = values === undefined ? undefined : toPayload(values);
      return (await client.threads.updateThreadState({ threadId, values: payload, ...more })).checkpoint!;
    },
    async stateAt(more: StateInit = {}): Promise<ThreadState> {
      return (await client.threads.getThreadState({ threadId, ...more })).state!;
    },
    questions: async () => (await kit.thread()).interrupts.map(({ value }) => fromPayload(value)),
    ids: async () => (await kit.history()).map(({ checkpoint }) => checkpoint!.checkpointId),
  };
}

export type StateKit = Awaited<ReturnType<typeof createStateKit>>;
