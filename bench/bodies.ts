import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { startApp } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { hostileBodies, messages, threads } from "./bodies/hostile-bodies.ts";
import { watchThread } from "./thread-work.ts";

/** How long one body, or one answer, holds up everybody else. See README.md beside this file. */
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
    `${"the longest stall, and the work of the serving thread, in ms".padEnd(66)} stall  at once   work  status  answered in`,
  );
  for (const [place, make] of hostileBodies.entries()) {
    const { name } = make();
    if (only !== undefined && !name.includes(only)) continue;
    const { stall, atOnce, work, answer } = await measure(() => ask(sender, { url: app.url, place }));
    const times = [stall.toFixed(0).padStart(5), atOnce.toFixed(0).padStart(8), work.toFixed(0).padStart(6)];
    console.log(
      `${name.padEnd(66)} ${times.join(" ")} ${String(answer.status).padStart(7)}  ${answer.ms.toFixed(0).padStart(6)} ms, ${answer.bytes} bytes${answer.status === 200 ? "" : `: ${answer.says}`}`,
    );
  }
} finally {
  sender.kill();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
}

/** Threads with a small state and with a large one, some runs with large inputs, and a thread for large bodies that has started. */
async function prepare(): Promise<void> {
  const post = (path: string, body: object) =>
    fetch(`${app.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).then((answer) => answer.text());
  await post("/threads", { thread_id: threads.small });
  for (const input of [{ messages: [] }, { messages: [], padding: "x".repeat(1_000_000) }]) {
    await post(`/threads/${threads.small}/runs/wait`, { assistant_id: "plain", input });
  }
  await post("/threads", { thread_id: threads.large });
  for (let run = 0; run < 3; run += 1) {
    await post(`/threads/${threads.large}/runs/wait`, { assistant_id: "plain", input: { messages } });
  }
}

async function measure(send: () => Promise<Answer>) {
  await sleep(300);
  const stop = watchThread();
  const answer = await send();
  // What a run does with the body afterwards counts as well.
  await sleep(1_000);
  return { ...stop(), answer };
}

async function ask(child: ChildProcess, message: object): Promise<Answer> {
  const answered = once(child, "message");
  child.send(message);
  return (await answered)[0] as Answer;
}
