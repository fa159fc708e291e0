import { setTimeout as sleep } from "node:timers/promises";
import { toPayload } from "../../src/client/index.ts";
import { type Figure, split } from "./figure.ts";
import { newThread } from "./runs.ts";
import { costOf, type Target, total } from "./target.ts";

/** Readers of live runs that say nothing, over fifty connections; then all get their end. */
export async function idleStreams(target: Target, count: number): Promise<Figure[]> {
  const { client } = target;
  const input = toPayload({ step_ms: 600_000 });
  const live = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const threadId = await newThread(client);
      const { runId } = (await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } })).run!;
      return { threadId, runId };
    }),
  );
  const clients = Array.from({ length: 50 }, target.connect);
  await sleep(1_000);
  const before = target.memory("Pss").server;
  const began = performance.now();
  let opened = 0;
  let ended = 0;
  const all = Promise.withResolvers<void>();
  const readers = Array.from({ length: count }, async (_, n) => {
    let isFirst = true;
    for await (const { events } of clients[n % clients.length]!.runs.joinRunStream(live[n % live.length]!)) {
      if (isFirst) opened += 1;
      isFirst = false;
      if (opened === count) all.resolve();
      if (events.some(({ event }) => event.case === "ended")) ended += 1;
    }
  });
  await all.promise;
  const seconds = (performance.now() - began) / 1000;
  await sleep(2_000);
  const cost = await costOf(target, () => sleep(5_000));
  // V8 collects what opening them has left 8 s after it has last collected something.
  await sleep(15_000);
  const memory = target.memory("Pss").server - before;
  await Promise.all(live.map((one) => client.runs.cancelRun({ ...one })));
  await Promise.all(readers);
  if (ended !== count) throw new Error(`${ended} of ${count} readers got their end`);
  return [
    { what: `${count} idle streams: opened a second`, value: count / seconds, unit: "/s", goal: { least: 500 } },
    ...split("… processor time a second", "ms", cost, 5),
    { what: "… memory of each", value: (memory * 1024) / count, unit: "kB", goal: { most: 60 } },
  ];
}

/** Nothing is asked of the server, and nothing executes. */
export async function rest(target: Target): Promise<Figure[]> {
  await sleep(20_000);
  const [pss, rss] = [target.memory("Pss"), target.memory("Rss")];
  const cost = await costOf(target, () => sleep(10_000));
  return [
    { what: "from the start to /ok", value: target.startedMs / 1000, unit: "s", goal: { most: 2.5 } },
    { what: "memory at rest, PSS", value: total(pss), unit: "MB", goal: { most: 280 } },
    { what: "… RSS", value: total(rss), unit: "MB", goal: { most: 400 } },
    ...split("processor time a second at rest", "ms", cost, 10),
  ];
}
