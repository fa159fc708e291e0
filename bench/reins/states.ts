import { setTimeout as sleep } from "node:timers/promises";
import { toPayload } from "../../src/client/index.ts";
import { median } from "../peers/samples.ts";
import { type Figure, split } from "./figure.ts";
import { newThread, timed } from "./runs.ts";
import { costOf, type Target } from "./target.ts";

const kB = 1024;

async function run({ client: { runs } }: Target, threadId: string, input: object): Promise<void> {
  const spec = { assistantId: "agent", input: toPayload(input), config: { recursionLimit: 20_000 } };
  await runs.waitRun({ create: { threadId, spec }, omitValues: true });
}

/** Runs of three steps on a thread whose state has that size. */
export async function states(target: Target): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, bytes] of [
    ["1 kB", kB],
    ["64 kB", 64 * kB],
    ["1 MB", 1024 * kB],
  ] as const) {
    const threadId = await newThread(target.client);
    await run(target, threadId, { steps: 2, messages: [{ role: "user", content: "x".repeat(bytes) }] });
    const times: number[] = [];
    for (let i = 0; i < 20; i += 1) times.push(await timed(() => run(target, threadId, { steps: 2 })));
    figures.push({ what: `a later run of a thread with a state of ${name}, p50`, value: median(times), unit: "ms" });
  }
  return figures;
}

/** What the engine has written for it, once it writes no more. */
async function writtenBy(target: Target, what: () => Promise<unknown>): Promise<number> {
  const before = target.written().engine;
  await what();
  for (let last = -1; last !== target.written().engine; await sleep(1_000)) last = target.written().engine;
  return target.written().engine - before;
}

/** Runs whose hundred steps say 4 kB each, and a run of ten steps in whose state 1 MB stays as it is. */
export async function hundredSteps(target: Target): Promise<Figure[]> {
  const said = 100 * 4 * kB;
  const threadId = await newThread(target.client);
  const say = { steps: 100, say: "x".repeat(4 * kB) };
  let ms = 0;
  let written = 0;
  const cost = await costOf(target, async () => {
    written = await writtenBy(target, async () => {
      ms = await timed(() => run(target, threadId, say));
    });
  });
  const large = { steps: 10, messages: [{ role: "user", content: "x".repeat(1024 * kB) }] };
  const unchanged = await writtenBy(target, async () => run(target, await newThread(target.client), large));
  return [
    { what: "a run of 100 steps that say 4 kB each", value: ms, unit: "ms" },
    ...split("… processor time", "ms", cost, 1),
    { what: "… written to the disk, as a share of what it says", value: written / said, unit: "×" },
    { what: "a run of 10 steps, 1 MB in its state: written to the disk", value: unchanged / (1024 * kB), unit: "MB" },
  ];
}

/** A run of three steps on a thread with ten thousand checkpoints. */
export async function longThread(target: Target): Promise<Figure[]> {
  const threadId = await newThread(target.client);
  for (let i = 0; i < 10; i += 1) await run(target, threadId, { steps: 1_000 });
  const times: number[] = [];
  for (let i = 0; i < 20; i += 1) times.push(await timed(() => run(target, threadId, { steps: 2 })));
  return [{ what: "a later run of a thread with 10,000 checkpoints, p50", value: median(times), unit: "ms" }];
}
