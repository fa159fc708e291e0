import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createReinsClient, type ReinsClient, RunStatus, toPayload } from "../../src/client/index.ts";
import type { Figure } from "./figure.ts";
import type { Target } from "./target.ts";

const count = 20;
const backlog = 1_000;
const run = promisify(execFile);
const main = join(import.meta.dirname, "../../src/main.ts");

/**
 * Twenty owners on one server, of whom each has processes of its own: how long the first run of each takes, alone and with the others' at the same time,
 * and what becomes of nineteen beside one who has created a thousand runs.
 */
export async function owners(target: Target): Promise<Figure[]> {
  const clients: ReinsClient[] = [];
  for (let n = 0; n < count; n += 1) clients.push(await clientOf(target, `owner-${n}`));
  const oneByOne: number[] = [];
  for (const client of clients) oneByOne.push(await timeOfRun(client));
  const soonAfter: number[] = [];
  for (const client of clients) soonAfter.push(await timeOfRun(client));
  const together = await Promise.all(clients.map((client) => timeOfRun(client)));
  const [busy, ...others] = clients;
  const runs = Array.from({ length: 100 }, () => ({ spec: specOf(2, 200) }));
  for (let n = 0; n < backlog / 100; n += 1) await busy!.runs.batchCreateRuns({ runs });
  const beside = await Promise.all(others.map((client) => timeOfRun(client)));
  const left = (await busy!.runs.listRuns({ statuses: [RunStatus.PENDING], pageSize: 1_000, omitSpec: true })).runs
    .length;
  return [
    ...ofAll(`first run of each of ${count} owners, one after the other`, oneByOne),
    ...ofAll("the next run of each, one after the other", soonAfter),
    ...ofAll("a run of each, all at once", together),
    ...ofAll(`a run of each of the others beside ${backlog} runs of one owner`, beside),
    { what: "… of which wait, when the others' are over", value: left, unit: "" },
    { what: "children afterwards, PSS", value: target.memory("Pss").children, unit: "MB" },
  ];
}

async function clientOf({ url, dataDir }: Target, owner: string): Promise<ReinsClient> {
  const scopes = "read,create,cancel,delete";
  const args = [main, "keys", "create", "--owner", owner, "--scopes", scopes, "--data-dir", dataDir];
  const { stdout } = await run(process.execPath, args);
  const key = stdout.trim();
  return createReinsClient({
    baseUrl: url,
    interceptors: [
      (next) => (request) => {
        request.header.set("x-api-key", key);
        return next(request);
      },
    ],
  });
}

const specOf = (steps: number, stepMs: number) => ({
  assistantId: "agent",
  input: toPayload({ steps, step_ms: stepMs }),
});

/** In ms. */
async function timeOfRun({ runs }: ReinsClient): Promise<number> {
  const began = performance.now();
  const { run: ended } = await runs.waitRun({ create: { spec: specOf(3, 0) }, omitValues: true });
  if (ended!.status !== RunStatus.SUCCESS) throw new Error(`the run has ended with ${ended!.status}`);
  return performance.now() - began;
}

function ofAll(what: string, times: readonly number[]): Figure[] {
  const sorted = times.toSorted((a, b) => a - b);
  return [
    { what: `${what}: p50`, value: sorted[Math.floor(sorted.length / 2)]!, unit: "ms" },
    { what: "… longest", value: sorted.at(-1)!, unit: "ms" },
  ];
}
