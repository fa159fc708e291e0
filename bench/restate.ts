import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { CancelAction, Durability } from "../gen/reins/v1/run_pb.ts";
import { toPayload } from "../src/client/index.ts";
import { installRestate } from "../test/peers/install.ts";
import { freePort } from "../test/peers/spawned-server.ts";
import { until } from "../test/support/gates.ts";
import { descendantsOf } from "../test/support/processes.ts";
import { median } from "./peers/samples.ts";
import { signsOfLife } from "./peers/stops.ts";
import { newThread, runOnce, timed } from "./reins/runs.ts";
import { cpuMsOf, startTarget, total } from "./reins/target.ts";

/**
 * `npm run bench:restate`: Reins beside Restate, a durable engine for code of all kinds, by turns on this machine: three durable steps that
 * do nothing, alone and with sixteen clients, and the cancel of something that waits. Both store each step before the next begins.
 * It measures; it asserts nothing.
 */
const clients = 16;
const forMs = 8_000;
const rounds = 3;

interface Peer {
  /** One run of three steps, from its request to its answer. */
  once(): Promise<void>;
  /** From the request to cancel until the node has heard of it, in ms. */
  cancel(): Promise<number>;
  cpuMs(): number;
  stop(): Promise<void>;
}

async function reins(): Promise<Peer> {
  const target = await startTarget();
  const { client } = target;
  const folder = mkdtempSync(join(tmpdir(), "reins-beats-"));
  return {
    once: async () => runOnce(client, await newThread(client), Durability.SYNC),
    async cancel() {
      const beats = join(folder, randomUUID());
      const threadId = await newThread(client);
      const input = toPayload({ steps: 1, step_ms: 60_000, beats });
      const { run } = await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } });
      await until(() => signsOfLife(beats).length > 0);
      const asked = Date.now();
      await client.runs.cancelRun({ threadId, runId: run!.runId, action: CancelAction.INTERRUPT, wait: true });
      return signsOfLife(beats).at(-1)! - asked;
    },
    cpuMs: () => total(target.cpu()),
    async stop() {
      await target.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function restate(): Promise<Peer> {
  const installed = installRestate();
  const folder = mkdtempSync(join(tmpdir(), "reins-restate-"));
  const [service, ingress, admin, node] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    RESTATE_LISTEN_MODE: "tcp",
    RESTATE_DISABLE_TELEMETRY: "true",
    RESTATE_LOG_FILTER: "error",
    RESTATE_BIND_IP: "127.0.0.1",
    RESTATE_BIND_PORT: String(node),
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
  };
  const start = (command: string, args: readonly string[]): ChildProcess =>
    spawn(command, args, { cwd: folder, env, stdio: "ignore" });
  const processes = [
    start(join(installed, "node_modules/.bin/restate-server"), ["--base-dir", join(folder, "data")]),
    start(process.execPath, [join(installed, "service.mjs"), String(service)]),
  ];
  const pids = () => processes.flatMap(({ pid }) => [pid!, ...descendantsOf(pid!)]);
  const post = (url: string, body: unknown) =>
    fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const isOk = (answer: Promise<Response>) =>
    answer.then(
      ({ ok }) => ok,
      () => false,
    );
  await until(() => isOk(fetch(`http://127.0.0.1:${admin}/health`)));
  await until(() => isOk(post(`http://127.0.0.1:${admin}/deployments`, { uri: `http://127.0.0.1:${service}` })));
  return {
    async once() {
      const answer = await fetch(`http://127.0.0.1:${ingress}/runs/steps`, { method: "POST" });
      if ((await answer.text()) !== '"done"') throw new Error(`an invocation ended with the status ${answer.status}`);
    },
    async cancel() {
      const file = join(folder, randomUUID());
      const answer = await post(`http://127.0.0.1:${ingress}/runs/wait/send`, file);
      const { invocationId } = (await answer.json()) as { invocationId: string };
      await until(() => signsOfLife(file).length > 0);
      const asked = Date.now();
      await fetch(`http://127.0.0.1:${admin}/invocations/${invocationId}/cancel`, { method: "PATCH" });
      await until(() => signsOfLife(file).length > 1);
      return signsOfLife(file).at(-1)! - asked;
    },
    cpuMs: () => pids().reduce((sum, pid) => sum + cpuMsOf(pid), 0),
    async stop() {
      for (const child of processes) {
        const ended = once(child, "exit");
        child.kill("SIGTERM");
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function measure(peer: Peer): Promise<Record<string, number>> {
  for (let i = 0; i < 50; i += 1) await peer.once();
  const alone: number[] = [];
  for (let i = 0; i < 100; i += 1) alone.push(await timed(peer.once));
  const crowd = async (ms: number): Promise<number> => {
    let done = 0;
    const end = performance.now() + ms;
    const work = async () => {
      for (; performance.now() < end; done += 1) await peer.once();
    };
    await Promise.all(Array.from({ length: clients }, work));
    return done;
  };
  await crowd(2_000);
  const [before, began] = [peer.cpuMs(), performance.now()];
  const done = await crowd(forMs);
  const [spent, seconds] = [peer.cpuMs() - before, (performance.now() - began) / 1_000];
  const cancels: number[] = [];
  for (let i = 0; i < 20; i += 1) cancels.push(await peer.cancel());
  return {
    "alone, p50, ms": median(alone),
    "16 clients, runs a second": done / seconds,
    "… processor time of a run, ms": spent / done,
    "cancel, until the node has heard, p50, ms": median(cancels),
  };
}

const load = loadavg()[0]!.toFixed(1);
const starts = { Reins: reins, Restate: restate };
const measured: Record<string, Record<string, number>[]> = { Reins: [], Restate: [] };
for (let round = 1; round <= rounds; round += 1) {
  for (const [name, start] of Object.entries(starts)) {
    console.error(`round ${round}: ${name}`);
    const peer = await start();
    try {
      measured[name]!.push(await measure(peer));
    } finally {
      await peer.stop();
    }
  }
}
console.log(
  `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; load before: ${load}; @restatedev/restate-server 1.7.12\n`,
);
console.log("| three durable steps | Reins | Restate | Reins / Restate |\n|---|---|---|---|");
for (const what of Object.keys(measured.Reins![0]!)) {
  const [ours, theirs] = ["Reins", "Restate"].map((name) => median(measured[name]!.map((one) => one[what]!))) as [
    number,
    number,
  ];
  console.log(`| ${what} | ${ours.toPrecision(3)} | ${theirs.toPrecision(3)} | ${(ours / theirs).toFixed(2)} |`);
}
