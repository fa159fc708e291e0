import { StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, PayloadFormat, type ReinsClient, runEvents, toPayload } from "../../src/client/index.ts";
import { median, percentile } from "../peers/samples.ts";
import type { Figure } from "./figure.ts";
import { newThread } from "./runs.ts";
import type { Target } from "./target.ts";

/** Streams the custom events of a run; answers how long each was under way from the node to here, in ms. */
async function stream(client: ReinsClient, threadId: string, input: object): Promise<number[]> {
  const lags: number[] = [];
  const spec = { assistantId: "agent", input: toPayload(input), streamModes: [StreamMode.CUSTOM] };
  const request = { create: { threadId, spec }, payloadFormat: PayloadFormat.JSON };
  for await (const { event } of runEvents((signal) => client.runs.streamRun(request, { signal }))) {
    if (event.case === "output") lags.push(Date.now() - (fromPayload(event.value.data) as { at: number }).at);
  }
  return lags;
}

async function hundred({ client }: Target, input: object): Promise<number[]> {
  const threads = await Promise.all(Array.from({ length: 100 }, () => newThread(client)));
  return (await Promise.all(threads.map((threadId) => stream(client, threadId, input)))).flat();
}

/** Events a second of all streams together, from the first request to the last end. */
async function rateOf(expected: number, what: () => Promise<number[]>): Promise<number> {
  const began = performance.now();
  const { length } = await what();
  if (length !== expected) throw new Error(`${length} events came instead of ${expected}`);
  return length / ((performance.now() - began) / 1000);
}

export async function streams(target: Target): Promise<Figure[]> {
  await hundred(target, { custom: 1 });
  const many: number[] = [];
  for (let i = 0; i < 3; i += 1) many.push(await rateOf(5_000, () => hundred(target, { custom: 50 })));
  const long: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const threadId = await newThread(target.client);
    long.push(await rateOf(5_000, () => stream(target.client, threadId, { custom: 5_000 })));
  }
  return [
    { what: "100 streams of 50 events at once", value: median(many), unit: "events/s", goal: { least: 7_500 } },
    { what: "one stream of 5,000 events", value: median(long), unit: "events/s" },
  ];
}

/** Twenty events a second and stream, while nothing else happens and while a hundred further runs are created at once. */
export async function paced(target: Target): Promise<Figure[]> {
  const quiet = await hundred(target, { custom: 60, custom_ms: 50 });
  const disturbed = hundred(target, { custom: 100, custom_ms: 50 });
  const { client } = target;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const threads = await Promise.all(Array.from({ length: 100 }, () => newThread(client)));
  await Promise.all(threads.map((threadId) => client.runs.createRun({ threadId, spec: { assistantId: "agent" } })));
  return [
    { what: "100 streams of 20 events a second: an event is under way, p50", value: median(quiet), unit: "ms" },
    { what: "… p99", value: percentile(quiet, 0.99), unit: "ms" },
    {
      what: "… p99 while a hundred runs are created at once",
      value: percentile(await disturbed, 0.99),
      unit: "ms",
      goal: { most: 15 },
    },
  ];
}
