/**
 * Records a database of an older version, with all kinds of runs in it, and what its server answers about those that are over.
 *
 *   git worktree add ../old COMMIT && (cd ../old && npm install)
 *   node scripts/record-database.ts ../old test/fixtures/schema-4
 *
 * The story is told by HTTP alone, to a real server of that commit on an embedded engine of its own, and ends with a SIGKILL.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { BSON, MongoClient } from "mongodb";
import { startEmbeddedDatabase } from "../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../test/support/embedded-options.ts";
import { until } from "../test/support/gates.ts";
import type { Recorded } from "../test/support/recorded-database.ts";
import { createRestClient } from "../test/support/rest-kit.ts";
import { startServerProcess } from "../test/support/server-process.ts";

const [old, target] = process.argv.slice(2).map((path) => resolve(path)) as [string, string];
const agents = resolve(import.meta.dirname, "../test/fixtures/agents/langgraph.json");
const folder = mkdtempSync(join(tmpdir(), "recorded-"));
const gates = mkdtempSync(join(tmpdir(), "recorded-gates-"));
const engine = await startEmbeddedDatabase(embeddedOptions(folder));
const server = await startServerProcess(
  {
    MONGODB_URI: engine.uri,
    REINS_CONFIG: agents,
    REINS_DATABASE_POOL: String(engine.maxPoolSize),
    REINS_CHILDREN: "1",
    // Nobody is there to be called, until the test is.
    REINS_WEBHOOK_PAUSE_MS: "60000",
    // A cancel that a deaf node does not hear is still open when the server is killed.
    REINS_GRACE_MS: "600000",
    FIXTURE_GATES: gates,
  },
  ["--port", "0"],
  old,
  [process.execPath, join(old, "src/main.ts"), "serve"],
);
const rest = createRestClient(server.url);
/** Where a test listens in place of nobody. */
const webhook = "http://127.0.0.1:9/webhook";

async function post(path: string, body: object) {
  const answer = await rest.post(path, body);
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}
async function thread(body: object = {}): Promise<string> {
  return (await post("/threads", body)).thread_id;
}
const body = (steps: string[], more: object = {}, given = "") => ({
  assistant_id: "steps",
  input: { steps, given },
  stream_mode: ["values", "updates", "custom"],
  ...more,
});
async function run(threadId: string, steps: string[], more: object = {}, given = ""): Promise<string> {
  return (await post(`/threads/${threadId}/runs`, body(steps, more, given))).run_id;
}
/** A gate, as a name of its own for each run. */
const started = (gate: string) =>
  until(() => {
    try {
      return readFileSync(join(gates, "started"), "utf8").split("\n").includes(gate);
    } catch {
      return false;
    }
  });
async function end(threadId: string, runId: string): Promise<void> {
  await rest.get(`/threads/${threadId}/runs/${runId}/join`);
  await until(async () => {
    const { body } = await rest.get(`/threads/${threadId}/runs/${runId}`);
    return body?.status === undefined || !["pending", "running"].includes(body.status);
  });
}

/** Names of threads, with the runs that are to be found on them. */
const over: Record<string, { thread: string; runs: string[] }> = {};
const live: Record<string, { thread: string; run: string }> = {};

async function told(name: string, runs: [steps: string[], more?: object, given?: string][], metadata: object = {}) {
  const id = await thread({ metadata: { story: name, ...metadata } });
  over[name] = { thread: id, runs: [] };
  for (const [steps, more, given] of runs) {
    const runId = await run(id, steps, more, given);
    await end(id, runId);
    over[name].runs.push(runId);
  }
  return over[name];
}

for (const durability of ["sync", "async", "exit"]) {
  await told(durability, [
    [["say:one", "say:two", "inner:three"], { durability, metadata: { durability } }],
    [["say:four", "say:five"], { durability }],
  ]);
}
await told("error", [[["say:before", "fail:here"]]]);
await told("large", [
  [["grow:90000", "say:small"], { durability: "sync" }, "given ".repeat(4000)],
  [["grow:95000", "say:more"]],
]);
await told("memory", [[["put:first", "put:second"]]]);
await told("question", [[["say:hello", "ask:name", "say:bye"]]]);
await told("inner question", [[["say:hello", "inner:ask", "say:bye"], { stream_subgraphs: true }]]);
await told("called back", [[["say:webhook"], { webhook }]]);

const interrupted = await told("interrupted", [[["say:kept"]]]);
interrupted.runs.push(await run(interrupted.thread, ["say:half", "wait:interrupted", "say:never"]));
await started("interrupted");
await rest.post(`/threads/${interrupted.thread}/runs/${interrupted.runs[1]}/cancel?wait=true&action=interrupt`);
const rolledBack = await told("rolled back", [[["say:kept"]]]);
rolledBack.runs.push(await run(rolledBack.thread, ["say:half", "wait:rolled", "say:never"]));
await started("rolled");
await rest.post(`/threads/${rolledBack.thread}/runs/${rolledBack.runs[1]}/cancel?wait=true&action=rollback`);
const copied = await post(`/threads/${over.sync!.thread}/copy`, {});
over.copy = { thread: copied.thread_id, runs: [] };

await rest.put("/store/items", { namespace: ["people", "ada"], key: "likes", value: { tea: true, "odd.name": "$x" } });
const assistant = await post("/assistants", {
  graph_id: "steps",
  name: "the careful one",
  config: { recursion_limit: 40 },
  metadata: { team: "tests" },
});
const repeated = { thread: await thread(), request: "9b1f8f4c-repeatable", steps: ["say:once"] };
const repeatedRun = await run(repeated.thread, repeated.steps, { request_id: repeated.request });
await end(repeated.thread, repeatedRun);
over.repeated = { thread: repeated.thread, runs: [repeatedRun] };
const batch = await post("/runs/batch", [body(["say:batch"]), body(["wait:batch", "say:after"])]);
const stateless = await post("/runs", body(["wait:stateless", "say:after"], { webhook }));

live.running = { thread: await thread(), run: "" };
live.running.run = await run(live.running.thread, ["say:one", "wait:running", "say:two"], { durability: "sync" });
live.pending = { thread: live.running.thread, run: await run(live.running.thread, ["say:three"]) };
live.afterLarge = { thread: over.large!.thread, run: "" };
const afterLarge = ["say:again", "wait:large", "grow:100000"];
live.afterLarge.run = await run(live.afterLarge.thread, afterLarge, { durability: "sync" }, "more ".repeat(4000));
live.delayed = { thread: await thread(), run: "" };
live.delayed.run = await run(live.delayed.thread, ["say:late"], { after_seconds: 60 });
live.stopping = { thread: await thread(), run: "" };
live.stopping.run = await run(live.stopping.thread, ["say:one", "deaf:stopping", "say:never"], { durability: "sync" });
for (const gate of ["running", "large", "stopping", "stateless", "batch"]) await started(gate);
await rest.post(`/threads/${live.stopping.thread}/runs/${live.stopping.run}/cancel?wait=false&action=interrupt`);
live.stateless = { thread: stateless.thread_id, run: stateless.run_id };
live.batch = { thread: batch[1].thread_id, run: batch[1].run_id };

/** What does not change while the live runs go on. */
async function answersOfOver() {
  const asked: { path: string; body?: object; after?: string }[] = [
    { path: "/store/items/search", body: { namespace_prefix: [] } },
    { path: `/assistants/${assistant.assistant_id}` },
    { path: "/assistants/search", body: { metadata: { team: "tests" } } },
    { path: "/threads/search", body: { metadata: { story: "sync" } } },
  ];
  for (const [name, story] of Object.entries(over)) {
    const at = `/threads/${story.thread}`;
    // What goes on on a thread changes it.
    if (name !== "large") asked.push({ path: at }, { path: `${at}/state?subgraphs=true` }, { path: `${at}/runs` });
    if (name !== "large") asked.push({ path: `${at}/history?limit=1000` });
    asked.push({ path: `${at}/history`, body: { limit: 1000, metadata: { source: "loop", step: 2 } } });
    for (const id of story.runs) {
      asked.push({ path: `${at}/runs/${id}` }, { path: `${at}/runs/${id}/stream`, after: "0" });
      asked.push({
        path: "/reins.v1.RunService/GetRun",
        body: { threadId: story.thread, runId: id, includeInput: true },
      });
    }
  }
  const answers: Recorded["answers"] = [];
  for (const { path, body, after } of asked) {
    const headers: Record<string, string> = after === undefined ? {} : { "last-event-id": after };
    const { status, text } = await (body === undefined
      ? rest.get(path, { headers })
      : rest.post(path, body, { headers }));
    answers.push({ path, body, after, status, text });
  }
  return answers;
}

const answers = await answersOfOver();
const recordedAt = new Date();
await server.end("SIGKILL");

const client = await MongoClient.connect(engine.uri);
const db = client.db("reins");
const collections: Record<string, object[]> = {};
for (const { name } of await db.listCollections().toArray()) {
  const documents = await db.collection(name).find().sort({ _id: 1 }).toArray();
  // Names of a machine say nothing to another one.
  const nowhere = { machine: "recorded", started: "recorded", children: [] };
  collections[name] = documents.map((one) => (name === "servers" ? { ...one, ...nowhere } : one));
}
await client.close();
await engine.stop();
for (const path of [folder, gates]) rmSync(path, { recursive: true, force: true });

const recorded: Recorded = {
  recordedAt: recordedAt.getTime(),
  over,
  live,
  repeated: { ...repeated, run: repeatedRun },
  answers,
  collections: BSON.EJSON.serialize(collections, { relaxed: false }),
};
const packed = zstdCompressSync(JSON.stringify(recorded));
writeFileSync(join(target, "database.ejson.zst"), packed);
const counts = Object.entries(collections).map(([name, documents]) => `${documents.length} ${name}`);
console.log(`${packed.length} bytes: ${counts.join(", ")}; ${answers.length} answers`);
