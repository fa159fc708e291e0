import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, PayloadFormat, type ReinsClient, runEvents, toPayload } from "../../src/client/index.ts";
import { median, percentile } from "../peers/samples.ts";
import type { Figure } from "./figure.ts";
import { newThread } from "./runs.ts";
import type { Target } from "./target.ts";

/** When a node put an event out, in ms since 1970, and how long it was under way to here. */
interface Lag {
  readonly at: number;
  readonly ms: number;
}

/** Streams the custom events of a run. */
async function stream(client: ReinsClient, threadId: string, input: object): Promise<Lag[]> {
  const lags: Lag[] = [];
  const spec = { assistantId: "agent", input: toPayload(input), streamModes: [StreamMode.CUSTOM] };
  const request = { create: { threadId, spec }, payloadFormat: PayloadFormat.JSON };
  for await (const { event } of runEvents((signal) => client.runs.streamRun(request, { signal }))) {
    if (event.case !== "output") continue;
    const { at } = fromPayload(event.value.data) as { at: number };
    lags.push({ at, ms: Date.now() - at });
  }
  return lags;
}

const hundredThreads = (client: ReinsClient): Promise<string[]> =>
  Promise.all(Array.from({ length: 100 }, () => newThread(client)));

const hundred = async (client: ReinsClient, threads: readonly string[], input: object): Promise<Lag[][]> =>
  Promise.all(threads.map((threadId) => stream(client, threadId, input)));

/** Events a second of all streams together, from the first request to the last end. Their threads are there. */
async function rateOf(expected: number, what: () => Promise<Lag[][]>): Promise<number> {
  const began = performance.now();
  const { length } = (await what()).flat();
  if (length !== expected) throw new Error(`${length} events came instead of ${expected}`);
  return length / ((performance.now() - began) / 1000);
}

const shareOf = (short: readonly number[], many: readonly number[]): number =>
  100 / median(short) / (5_000 / median(many));

export async function streams({ client }: Target): Promise<Figure[]> {
  await hundred(client, await hundredThreads(client), { custom: 1 });
  const many: number[] = [];
  const short: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const [threads, others] = [await hundredThreads(client), await hundredThreads(client)];
    many.push(await rateOf(5_000, () => hundred(client, threads, { custom: 50 })));
    short.push(await rateOf(100, () => hundred(client, others, { custom: 1 })));
  }
  const long: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const threadId = await newThread(client);
    long.push(await rateOf(5_000, async () => [await stream(client, threadId, { custom: 5_000 })]));
  }
  return [
    { what: "100 streams of 50 events at once", value: median(many), unit: "events/s", goal: { least: 7_500 } },
    { what: "… which a hundred streams of one event each take of that time", value: shareOf(short, many), unit: "×" },
    { what: "one stream of 5,000 events", value: median(long), unit: "events/s" },
  ];
}

/**
 * Twenty events a second and stream, as soon as all streams are under way: while nothing else happens, and from the moment in which
 * a hundred further runs are created at once, by another process, until all of these are over.
 */
export async function paced({ client, url }: Target): Promise<Figure[]> {
  const [threads, further] = [await hundredThreads(client), await hundredThreads(client)];
  const reading = hundred(client, threads, { custom: 140, custom_ms: 50 });
  const burst = fork(new URL("./burst.ts", import.meta.url));
  burst.send({ url, threads: further });
  await Promise.all([once(burst, "message"), sleep(5_000)]);
  const began = Date.now();
  burst.send("go");
  await once(burst, "message");
  const ended = Date.now();
  const lags = await reading;
  const underWay = Math.max(...lags.map(([first]) => first!.at)) + 500;
  const between = (from: number, to: number) =>
    lags
      .flat()
      .filter(({ at }) => at >= from && at < to)
      .map(({ ms }) => ms);
  const [quiet, disturbed] = [between(underWay, began), between(began, ended)];
  return [
    { what: "100 streams of 20 events a second: an event is under way, p50", value: median(quiet), unit: "ms" },
    { what: "… p99", value: percentile(quiet, 0.99), unit: "ms" },
    { what: "… while a hundred runs are created at once, p50", value: median(disturbed), unit: "ms" },
    { what: "… p99", value: percentile(disturbed, 0.99), unit: "ms", goal: { most: 15 } },
    { what: "… until those are over", value: ended - began, unit: "ms" },
  ];
}
