import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { startApp } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { hostileBodies } from "./bodies/hostile-bodies.ts";

/** How long one body holds up everybody else. See README.md beside this file. */
const { threadCpuUsage = () => ({ user: 0, system: 0 }) } = process as unknown as {
  threadCpuUsage?: () => { user: number; system: number };
};

interface Answer {
  readonly status: number;
  readonly bytes: number;
  readonly says: string;
  readonly ms: number;
}

const dataDir = await mkdtemp(join(tmpdir(), "reins-bodies-"));
const configFile = fileURLToPath(new URL("./bodies/langgraph.json", import.meta.url));
const env = { ...process.env, REINS_PORT: "0", REINS_DATA_DIR: dataDir, REINS_CONFIG: configFile, REINS_CHILDREN: "1" };
const app = await startApp(readConfig([], env, process.cwd()), {
  log: pino({ level: "silent" }),
  progress: (sentence) => console.error(sentence),
});
const sender = fork(new URL("./bodies/send.ts", import.meta.url));
try {
  await prepare();
  const only = process.argv[2];
  console.log(
    `${"the longest stall, and the work of the serving thread, in ms".padEnd(62)} stall   work  status  answered in`,
  );
  for (const [place, make] of hostileBodies.entries()) {
    const { name } = make();
    if (only !== undefined && !name.includes(only)) continue;
    const { stall, work, answer } = await measure(() => ask(sender, { url: app.url, place }));
    const numbers = [stall.toFixed(0).padStart(5), work.toFixed(0).padStart(6), String(answer.status).padStart(7)];
    console.log(
      `${name.padEnd(62)} ${numbers.join(" ")}  ${answer.ms.toFixed(0).padStart(6)} ms, ${answer.bytes} bytes${answer.status === 200 ? "" : `: ${answer.says}`}`,
    );
  }
} finally {
  sender.kill();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
}

/** A thread with a state, and a thread for large bodies that has started. */
async function prepare(): Promise<void> {
  const thread_id = "11111111-1111-4111-8111-111111111111";
  const post = (path: string, body: object) =>
    fetch(`${app.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).then((answer) => answer.text());
  await post("/threads", { thread_id });
  for (const input of [{ messages: [] }, { messages: [], padding: "x".repeat(1_000_000) }]) {
    await post(`/threads/${thread_id}/runs/wait`, { assistant_id: "plain", input });
  }
}

async function measure(send: () => Promise<Answer>) {
  await sleep(300);
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const before = threadCpuUsage();
  const answer = await send();
  // What a run does with the body afterwards counts as well.
  await sleep(1_000);
  const after = threadCpuUsage();
  delay.disable();
  return {
    stall: delay.max / 1e6,
    work: (after.user + after.system - before.user - before.system) / 1000,
    answer,
  };
}

async function ask(child: ChildProcess, message: object): Promise<Answer> {
  const answered = once(child, "message");
  child.send(message);
  return (await answered)[0] as Answer;
}
