import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createReinsClient, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { type Figure, split } from "./figure.ts";
import { newThread } from "./runs.ts";
import { costOf, memoryOf, type Target, total } from "./target.ts";

/** V8 collects what opening them has left some 8 s after it has last collected something. */
const collectedMs = 20_000;

/** A hundred runs that say nothing. */
async function silentRuns({ client }: Target): Promise<{ threadId: string; runId: string }[]> {
  const input = toPayload({ step_ms: 600_000 });
  return Promise.all(
    Array.from({ length: 100 }, async () => {
      const threadId = await newThread(client);
      const { runId } = (await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } })).run!;
      return { threadId, runId };
    }),
  );
}

/** Readers of live runs that say nothing, over fifty connections; then all get their end. */
export async function idleStreams(target: Target, count: number): Promise<Figure[]> {
  const live = await silentRuns(target);
  await sleep(collectedMs);
  const before = target.memory("Pss").server;
  let ended = 0;
  const reading = openAll(target.connect, count, async ({ runs }, n, opened) => {
    for await (const { events } of runs.joinRunStream(live[n % live.length]!)) {
      opened();
      if (events.some(({ event }) => event.case === "ended")) ended += 1;
    }
  });
  const seconds = await reading.opened;
  const figures = await costWhileOpen(target, before, count);
  await Promise.all(live.map((one) => target.client.runs.cancelRun({ ...one })));
  await reading.over;
  if (ended !== count) throw new Error(`${ended} of ${count} readers got their end`);
  return [
    { what: `${count} idle streams: opened a second`, value: count / seconds, unit: "/s", goal: { least: 500 } },
    ...figures,
  ];
}

/** The same of calls that wait for the ends. */
export async function idleWaits(target: Target, count: number): Promise<Figure[]> {
  const live = await silentRuns(target);
  await sleep(collectedMs);
  const before = target.memory("Pss").server;
  const { over } = openAll(target.connect, count, async ({ runs }, n) => {
    await runs.joinRun({ ...live[n % live.length]!, omitValues: true });
  });
  const figures = await costWhileOpen(target, before, count);
  await Promise.all(live.map((one) => target.client.runs.cancelRun({ ...one })));
  await over;
  const [first, ...others] = figures;
  return [{ ...first!, what: `${count} idle waits: processor time a second` }, ...others];
}

/** What idle streams cost a Connect server that does nothing else. */
export async function bareStreams(count: number): Promise<Figure[]> {
  const server = fork(new URL("./bare-streams.ts", import.meta.url));
  const [port] = (await once(server, "message")) as [number];
  const before = memoryOf(server.pid!, "Pss");
  const leaving = new AbortController();
  const connect = () => createReinsClient({ baseUrl: `http://127.0.0.1:${port}` });
  const reading = openAll(connect, count, async ({ runs }, _, opened) => {
    const name = { threadId: "thread", runId: "run" };
    for await (const _message of runs.joinRunStream(name, { signal: leaving.signal })) opened();
  });
  const seconds = await reading.opened;
  await sleep(collectedMs);
  const memory = memoryOf(server.pid!, "Pss") - before;
  leaving.abort();
  await reading.over.catch(() => undefined);
  server.disconnect();
  return [
    { what: `${count} idle streams of a bare Connect server: opened a second`, value: count / seconds, unit: "/s" },
    { what: "… memory of each", value: (memory * 1024) / count, unit: "kB" },
  ];
}

type Read = (client: ReinsClient, n: number, opened: () => void) => Promise<void>;

/** Over fifty connections. `opened` resolves to the seconds until each has said so. */
function openAll(connect: () => ReinsClient, count: number, read: Read) {
  const clients = Array.from({ length: 50 }, connect);
  const began = performance.now();
  const opened = Promise.withResolvers<number>();
  const open = new Set<number>();
  const over = Promise.all(
    Array.from({ length: count }, (_, n) =>
      read(clients[n % clients.length]!, n, () => {
        if (open.add(n).size === count) opened.resolve((performance.now() - began) / 1000);
      }),
    ),
  );
  return { opened: opened.promise, over };
}

async function costWhileOpen(target: Target, before: number, count: number): Promise<Figure[]> {
  await sleep(collectedMs);
  const cost = await costOf(target, () => sleep(5_000));
  const memory = target.memory("Pss").server - before;
  return [
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
