import { type Runs, trivial, usualDurability } from "./runs.ts";
import { percentile, timeEach } from "./samples.ts";

/** How long a trivial run takes for the client that waits for it, one after the other. */
export async function createToSuccess(runs: Runs, durability: "async" | "sync") {
  const run = (threadId: string) => runs.wait(threadId, "agent", trivial, durability);
  await run(await runs.newThread());
  const threads = await Promise.all(Array.from({ length: 200 }, () => runs.newThread()));
  const samples = await timeEach({ times: 200, ms: 30_000 }, () => run(threads.pop()!));
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), n: samples.length };
}

/** Runs that 16 clients get done in ten seconds, each waiting for its own; after two seconds to warm up. */
export async function throughput(runs: Runs): Promise<number> {
  const [warmUpMs, measuredMs] = [2_000, 10_000];
  const start = performance.now();
  let done = 0;
  const client = async () => {
    while (performance.now() - start < warmUpMs + measuredMs) {
      await runs.wait(await runs.newThread(), "agent", trivial);
      const at = performance.now() - start;
      if (at > warmUpMs && at < warmUpMs + measuredMs) done += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  return done / (measuredMs / 1000);
}

/** From the request to the first event of a stream. */
export async function firstEvent(runs: Runs) {
  const one = async () => {
    const threadId = await runs.newThread();
    const body = { assistant_id: "agent", input: trivial, stream_mode: ["values"], durability: usualDurability };
    const began = performance.now();
    let first = Number.NaN;
    const { ended } = await runs.http.stream("POST", `/threads/${threadId}/runs/stream`, body, () => {
      if (Number.isNaN(first)) first = performance.now() - began;
    });
    await ended;
    return first;
  };
  await one();
  const samples: number[] = [];
  for (let i = 0; i < 30; i += 1) samples.push(await one());
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), n: samples.length };
}
