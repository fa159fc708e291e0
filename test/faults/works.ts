import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Durability, MultitaskStrategy, OnCompletion, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import type { CreateRunRequestSchema } from "../../gen/reins/v1/run_service_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import type { Work } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Step } from "./plan.ts";

export type CreateInit = MessageInitShape<typeof CreateRunRequestSchema> & {
  readonly spec: object;
  /** Empty: the server chooses. */
  readonly runId: string;
};

/** A run to create, and what is known of it so far. */
export interface Order {
  readonly work: Work;
  readonly request: CreateInit;
}

/** With other runs in a process, or each in one of its own, which takes longer to begin. */
export type Graph = "load" | "alone";
export const drawGraph = (random: () => number): Graph => (random() < 0.1 ? "alone" : "load");

/** What comes next, by a number from 0 to 1 and how often each is to come. */
export function pick<T>(share: number, choices: readonly (readonly [number, T])[]): T {
  let left = share * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, choice] of choices) {
    left -= weight;
    if (left < 0) return choice;
  }
  return choices.at(-1)![1];
}

function drawSteps(random: () => number): Step[] {
  const count = 1 + Math.floor(3 * random());
  return Array.from({ length: count }, (_, i) => {
    const isLast = i === count - 1;
    const manner = pick<Step["manner"]>(random(), [
      [10, "polite"],
      [3, "fan"],
      [2, "deaf"],
      [1, "busy"],
      [isLast ? 1 : 0, "fails"],
      [isLast ? 1 : 0, "asks"],
    ]);
    const longestMs = manner === "deaf" ? 1_200 : manner === "busy" ? 600 : 300;
    return { manner, ms: Math.round(20 + longestMs * random()) };
  });
}

let count = 0;

/** A run on the thread, or a stateless one. */
export function drawOrder(random: () => number, threadId: string, graph: Graph): Order {
  count += 1;
  const plan = { work: `w${count}`, steps: drawSteps(random) };
  const isStateless = threadId === "";
  const strategy = isStateless ? "enqueue" : pick<Work["strategy"]>(random(), strategies);
  const durability = pick<Work["durability"]>(random(), durabilities);
  const afterMs = !isStateless && random() < 0.1 ? Math.round(1_500 * random()) : undefined;
  const vanishes = isStateless && random() < 0.5;
  const work: Work = {
    plan,
    threadId,
    strategy,
    durability,
    vanishes,
    isDelayed: afterMs !== undefined,
    sentAt: machineMs(),
    answers: [],
    answeredAt: undefined,
    outcome: "open",
  };
  const request: CreateInit = {
    threadId,
    requestId: randomUUID(),
    runId: random() < 0.5 ? randomUUID() : "",
    spec: {
      assistantId: graph,
      input: toPayload({ ...plan, at: 0 }),
      metadata: { work: plan.work },
      streamModes: [StreamMode.CUSTOM, StreamMode.UPDATES],
      durability: Durability[durability.toUpperCase() as keyof typeof Durability],
      ...(afterMs !== undefined && {
        after: { nanos: (afterMs % 1000) * 1e6, seconds: BigInt(Math.floor(afterMs / 1000)) },
      }),
      ...(isStateless
        ? { onCompletion: vanishes ? OnCompletion.DELETE : OnCompletion.KEEP }
        : { multitaskStrategy: MultitaskStrategy[strategy.toUpperCase() as keyof typeof MultitaskStrategy] }),
    },
  };
  return { work, request };
}

const strategies = [
  [6, "enqueue"],
  [1, "reject"],
  [2, "interrupt"],
  [2, "rollback"],
] as const;
const durabilities = [
  [5, "sync"],
  [2, "async"],
  [1, "exit"],
] as const;
