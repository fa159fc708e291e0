import { Durability, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type ReinsClient, toPayload } from "../../src/client/index.ts";
import { median, percentile } from "../peers/samples.ts";
import { type Figure, split } from "./figure.ts";
import { costOf, type Target } from "./target.ts";

/** Three supersteps that do nothing: what is measured is the server. */
const trivial = toPayload({ steps: 2 });
export const durabilities = [
  ["async", Durability.ASYNC],
  ["sync", Durability.SYNC],
] as const;

export const newThread = async ({ threads }: ReinsClient) => (await threads.createThread({})).thread!.threadId;

/** Creates a run and waits for its end. */
export async function runOnce({ runs }: ReinsClient, threadId: string, durability: Durability): Promise<void> {
  const spec = { assistantId: "agent", input: trivial, durability };
  const { run } = await runs.waitRun({ create: { threadId, spec }, omitValues: true });
  if (run!.status !== RunStatus.SUCCESS) throw new Error(`a run ended with the status ${run!.status}`);
}

export async function timed(what: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await what();
  return performance.now() - began;
}

/** One run after the other: the first of its thread, and later ones of one thread. */
export async function alone({ client }: Target): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, durability] of durabilities) {
    const old = await newThread(client);
    const first: number[] = [];
    const later: number[] = [];
    for (let i = 0; i < 40; i += 1) await runOnce(client, old, durability);
    const threads = await Promise.all(Array.from({ length: 100 }, () => newThread(client)));
    // By turns, so that whatever else the machine does meets both.
    for (const threadId of threads) {
      first.push(await timed(() => runOnce(client, threadId, durability)));
      later.push(await timed(() => runOnce(client, old, durability)));
    }
    const most = name === "async" ? 12 : 20;
    figures.push(
      { what: `${name}: a thread's first run, alone, p50`, value: median(first), unit: "ms", goal: { most } },
      { what: "… p99", value: percentile(first, 0.99), unit: "ms" },
      { what: `${name}: a later run of a thread, alone, p50`, value: median(later), unit: "ms" },
      { what: "… as a share of a first one", value: median(later) / median(first), unit: "×", goal: { most: 1.1 } },
    );
  }
  return figures;
}

/** As many clients as that, each of which waits for its run before it begins the next; after some to warm up. */
export async function crowd(target: Target, clients: number, durability: Durability, isLater: boolean) {
  const { client } = target;
  const [warmUpMs, forMs] = [2_000, 8_000];
  const threads = await Promise.all(Array.from({ length: clients }, () => newThread(client)));
  const work = async (forMs: number) => {
    let done = 0;
    const end = performance.now() + forMs;
    await Promise.all(
      threads.map(async (own) => {
        while (performance.now() < end) {
          await runOnce(client, isLater ? own : await newThread(client), durability);
          done += 1;
        }
      }),
    );
    return done;
  };
  await work(warmUpMs);
  let done = 0;
  const began = performance.now();
  const cost = await costOf(target, async () => {
    done = await work(forMs);
  });
  return { perSecond: done / ((performance.now() - began) / 1000), cost, done };
}

export async function crowded(target: Target): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, durability] of durabilities) {
    for (const isLater of [false, true]) {
      const { perSecond, cost, done } = await crowd(target, 16, durability, isLater);
      const what = `${name}: ${isLater ? "later" : "first"} runs, 16 clients`;
      const least = name === "async" ? 130 : 100;
      figures.push({ what, value: perSecond, unit: "runs/s", ...(!isLater && { goal: { least } }) });
      figures.push(...split(`${what}: processor time of a run`, "ms", cost, done));
    }
  }
  const { perSecond, cost, done } = await crowd(target, 80, Durability.ASYNC, false);
  figures.push({ what: "async: first runs, 80 clients", value: perSecond, unit: "runs/s" });
  return [...figures, ...split("async: first runs, 80 clients: processor time of a run", "ms", cost, done)];
}
