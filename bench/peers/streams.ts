import { type Runs, usualDurability } from "./runs.ts";
import { median, percentile } from "./samples.ts";

interface Streamed {
  readonly events: number;
  /** From the request, or from its first custom event, to the end of the stream. */
  readonly wholeMs: number;
  readonly fromFirstMs: number;
  /** How long each event was under way, from the node to this client. */
  readonly lags: number[];
}

async function streamCustom(runs: Runs, threadId: string, input: object): Promise<Streamed> {
  const lags: number[] = [];
  const began = performance.now();
  let first = Number.NaN;
  const body = { assistant_id: "agent", input, stream_mode: ["custom"], durability: usualDurability };
  const { ended } = await runs.http.stream("POST", `/threads/${threadId}/runs/stream`, body, ({ name, data, at }) => {
    if (name !== "custom") return;
    if (Number.isNaN(first)) first = performance.now();
    lags.push(at - Number(/"at":\s*(\d+)/.exec(data)?.[1]));
  });
  await ended;
  const end = performance.now();
  return { events: lags.length, wholeMs: end - began, fromFirstMs: end - first, lags };
}

function checkCount(events: number, expected: number): void {
  if (events !== expected) throw new Error(`${events} events came instead of ${expected}`);
}

/** One node that writes 5,000 custom events as fast as it can: events a second from the first one on; after some to warm up. */
export async function oneLongStream(runs: Runs): Promise<number> {
  const rates: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    const { events, fromFirstMs } = await streamCustom(runs, await runs.newThread(), { custom: 5_000 });
    checkCount(events, 5_000);
    rates.push(events / (fromFirstMs / 1000));
  }
  return median(rates.slice(5));
}

async function hundred(runs: Runs, input: object): Promise<Streamed[]> {
  const threads = await Promise.all(Array.from({ length: 100 }, () => runs.newThread()));
  return Promise.all(threads.map((threadId) => streamCustom(runs, threadId, input)));
}

/** A hundred streams at once of 50 events each, unpaced: events a second from the first request to the last stream's end. */
export async function manyStreams(runs: Runs): Promise<number> {
  await hundred(runs, { custom: 1 });
  const rates: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    const began = performance.now();
    const streams = await hundred(runs, { custom: 50 });
    const events = streams.reduce((sum, one) => sum + one.events, 0);
    checkCount(events, 5_000);
    rates.push(events / ((performance.now() - began) / 1000));
  }
  return median(rates);
}

/** A hundred streams at once of 20 events a second each, for five seconds: how long an event is under way. */
export async function pacedStreams(runs: Runs) {
  const streams = await hundred(runs, { custom: 100, custom_ms: 50 });
  const lags = streams.flatMap((one) => one.lags);
  checkCount(lags.length, 10_000);
  return { p50: percentile(lags, 0.5), p99: percentile(lags, 0.99), n: lags.length };
}
