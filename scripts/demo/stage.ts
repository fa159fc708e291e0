import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enumToJson } from "@bufbuild/protobuf";
import type { Db } from "mongodb";
import {
  type CancelOutcome,
  CancelOutcomeSchema,
  type Run,
  type RunStatus,
  RunStatusSchema,
  StreamMode,
} from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { type DemoServer, startServer } from "./server.ts";

/** What a scene of the demo has at hand. */
export interface Stage {
  readonly folder: string;
  readonly server: DemoServer;
  readonly client: ReinsClient;
  readonly db: Db;
  say(text: string): void;
  /** A claim about what has just been shown; a false one makes the demo fail. */
  check(claim: string, holds: boolean): void;
  /** Kills the server as a crash does, and starts it again on the same data. */
  crash(): Promise<{ restartedAfterMs: number; left: number[] }>;
}

export interface Play {
  readonly stage: Stage;
  readonly checked: () => { held: number; failed: number };
  end(): Promise<void>;
}

export async function openStage(): Promise<Play> {
  const folder = mkdtempSync(join(tmpdir(), "reins-demo-"));
  const counts = { held: 0, failed: 0 };
  const say = (text: string) => console.log(`   ${text}`);
  let server = await startServer(join(folder, "data"), say);
  const stage: Stage = {
    folder,
    get server() {
      return server;
    },
    get client() {
      return server.client;
    },
    get db() {
      return server.mongo.db("reins");
    },
    say,
    check(claim, holds) {
      counts[holds ? "held" : "failed"] += 1;
      console.log(`   ${holds ? "✓" : "✗ NOT SO:"} ${claim}`);
    },
    async crash() {
      const pids = server.processes().map(({ pid }) => pid);
      await server.kill();
      const started = performance.now();
      server = await startServer(join(folder, "data"), say);
      return { restartedAfterMs: performance.now() - started, left: pids };
    },
  };
  return {
    stage,
    checked: () => counts,
    async end() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The input of the assistant for a run of some three seconds. */
export const question = { messages: [{ role: "user", content: "Is the early bird right?" }], steps: 3, delay_ms: 30 };

export const createThread = async (stage: Stage): Promise<string> =>
  (await stage.client.threads.createThread({})).thread!.threadId;

/** Starts a run; `null` goes on from where the thread stands. */
export async function createRun(stage: Stage, threadId: string, input: object | null, graph = "agent"): Promise<Run> {
  const spec = {
    assistantId: graph,
    input: input === null ? undefined : toPayload(input),
    streamModes: [StreamMode.MESSAGES_TUPLE],
  };
  return (await stage.client.runs.createRun({ threadId, spec })).run!;
}

/** Resolves when the thread has a checkpoint of this run with at least so many messages. */
export async function untilMessages(stage: Stage, threadId: string, count: number): Promise<void> {
  for (;;) {
    if ((await messagesOf(stage, threadId)).length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The contents of the thread's messages: what two runs that came to the same end have in common. */
export async function messagesOf(stage: Stage, threadId: string): Promise<string[]> {
  const { state } = await stage.client.threads.getThreadState({ threadId });
  const values = fromPayload(state!.values) as { messages?: { type: string; content: string }[] } | undefined;
  return (values?.messages ?? []).map(({ type, content }) => `${type}: ${content}`);
}

export async function timed<T>(what: () => Promise<T>): Promise<[T, string]> {
  const start = performance.now();
  const result = await what();
  return [result, `${(performance.now() - start).toFixed(0)} ms`];
}

export const statusName = (status: RunStatus): string => enumToJson(RunStatusSchema, status).replace("RUN_STATUS_", "");

export const outcomeName = (outcome: CancelOutcome): string =>
  enumToJson(CancelOutcomeSchema, outcome).replace("CANCEL_OUTCOME_", "");

export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
