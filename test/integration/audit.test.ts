import { randomUUID } from "node:crypto";
import http2 from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MultitaskStrategy, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { PruneStrategy } from "../../gen/reins/v1/thread_service_pb.ts";
import type { ReinsClient } from "../../src/client/index.ts";
import type { AuditEntry } from "../../src/domain/access-ports.ts";
import { until } from "../support/gates.ts";
import { clientOf, type GuardedApp, newOwner, startGuardedApp } from "../support/guarded-app.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";

let app: GuardedApp;
let owner: string;
let key: string;
const kits: RunKit[] = [];
/** In all that Alice sends and names nothing: none of it is for the audit. */
const secret = `s3cret-${randomUUID()}`;

beforeAll(async () => {
  app = await startGuardedApp({ graceMs: 500, auditTtlMs: 3_600_000 });
  owner = newOwner("alice");
  key = await app.keyOf(owner);
});
afterAll(async () => {
  for (const { gates } of kits) gates.remove();
  await app.close();
});

/** A client whose calls have this request id. */
const by = (requestId: string): ReinsClient => clientOf(app, key, requestId);

async function newKit(): Promise<RunKit> {
  const kit = await createRunKit({ client: clientOf(app, key) });
  kits.push(kit);
  return kit;
}

async function running(kit: RunKit, step: string, manner = "polite"): Promise<string> {
  const { runId } = await kit.start({ steps: [step], manners: { [step]: manner }, secret }, { metadata: { secret } });
  await kit.gates.started(step);
  return runId;
}

const rest = (requestId: string, method: string, path: string, body?: unknown, as: string | undefined = key) =>
  fetch(app.app.url + path, {
    method,
    headers: { ...(as && { "x-api-key": as }), "x-request-id": requestId, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

const entriesOf = async (requestId: string): Promise<AuditEntry[]> =>
  (await app.audited()).filter((one) => one.requestId === requestId);

const keyId = () => `key:${key.split("_")[1]}`;

/** Of a call that was allowed to Alice. */
const entry = (requestId: string, call: string, targets: string[], outcome: string) => ({
  at: expect.any(Date),
  owner,
  actor: "tester",
  credential: keyId(),
  call,
  targets,
  decision: "allowed",
  outcome,
  requestId,
});

/** How runs ended that somebody wanted to stop. */
async function endsOf(threadId: string, runId: string): Promise<AuditEntry[]> {
  const ends = async () =>
    (await app.audited(owner)).filter(
      (one) => one.requestId === "" && one.targets.includes(`run ${threadId}/${runId}`),
    );
  await until(async () => (await ends()).length > 0);
  return ends();
}

describe("the audit has", () => {
  it("a cancel, and how the run ended", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a");
    await by("cancel-1").runs.cancelRun({ threadId, runId, wait: true, reason: secret });
    const target = `run ${threadId}/${runId}`;
    expect(await entriesOf("cancel-1")).toEqual([entry("cancel-1", "RunService/CancelRun", [target], "stopped")]);
    expect(await endsOf(threadId, runId)).toMatchObject([
      { owner, actor: "tester", call: "interrupt by client", targets: [target], outcome: "stopped" },
    ]);
  });

  it("a cancel of what is not there", async () => {
    const [threadId, runId] = [randomUUID(), randomUUID()];
    await expect(by("cancel-2").runs.cancelRun({ threadId, runId })).rejects.toThrow();
    expect(await entriesOf("cancel-2")).toEqual([
      entry("cancel-2", "RunService/CancelRun", [`run ${threadId}/${runId}`], "RUN_NOT_FOUND"),
    ]);
  });

  it("a rollback, though the run is gone", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a");
    const path = `/threads/${threadId}/runs/${runId}/cancel?action=rollback&wait=true`;
    await (await rest("rollback-1", "POST", path)).text();
    await expect(kit.get(runId)).rejects.toThrow();
    const target = `run ${threadId}/${runId}`;
    expect(await entriesOf("rollback-1")).toEqual([entry("rollback-1", "RunService/CancelRun", [target], "stopped")]);
    expect(await endsOf(threadId, runId)).toMatchObject([{ actor: "tester", call: "rollback by client" }]);
  });

  it("cancels of many, by ids and by a filter", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const [runId, none] = [await running(kit, "a"), randomUUID()];
    const runs = { case: "runs" as const, value: { threadId, runIds: [runId, none] } };
    await by("preview-1").runs.cancelRuns({ target: runs, validateOnly: true });
    expect(await entriesOf("preview-1")).toEqual([]);
    await by("cancels-1").runs.cancelRuns({ target: runs, wait: true });
    const targets = [`run ${threadId}/${runId}`, `run ${threadId}/${none}`];
    expect(await entriesOf("cancels-1")).toEqual([
      entry("cancels-1", "RunService/CancelRuns", targets, "1 stopped, 1 not_found"),
    ]);
    const next = await running(kit, "b");
    const filter = { case: "filter" as const, value: { status: LiveRunStatus.ALL, threadId } };
    await by("cancels-2").runs.cancelRuns({ target: filter, wait: true });
    expect(await entriesOf("cancels-2")).toEqual([
      entry("cancels-2", "RunService/CancelRuns", [`run ${threadId}/${next}`], "1 stopped"),
    ]);
  });

  it("that a run was killed", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a", "deaf");
    await by("kill-1").runs.cancelRun({ threadId, runId, wait: true });
    expect(await entriesOf("kill-1")).toMatchObject([{ outcome: "killed" }]);
    await until(async () => (await endsOf(threadId, runId)).length === 2);
    expect(await endsOf(threadId, runId)).toMatchObject([
      { call: "kill", actor: "", owner },
      { call: "interrupt by client", outcome: "killed", actor: "tester" },
    ]);
  });

  it("whose leaving stopped a run", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a");
    const leaving = new AbortController();
    const wanted = { threadId, runId, onDisconnect: OnDisconnect.CANCEL };
    for await (const _ of by("leave-1").runs.joinRunStream(wanted, { signal: leaving.signal })) break;
    leaving.abort();
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.INTERRUPTED });
    expect(await endsOf(threadId, runId)).toMatchObject([
      { owner, actor: "tester", call: "interrupt by disconnect", outcome: "stopped" },
    ]);
  });

  it("a run that ended another, in a call that streams as well", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a");
    const spec = kit.spec({ steps: ["b"] }, { multitaskStrategy: MultitaskStrategy.ROLLBACK });
    await by("displace-1").runs.createRun({ threadId, spec });
    const targets = [`thread ${threadId}`];
    expect(await entriesOf("displace-1")).toEqual([entry("displace-1", "RunService/CreateRun", targets, "done")]);
    expect(await endsOf(threadId, runId)).toMatchObject([{ actor: "tester", outcome: "stopped" }]);
    const create = { threadId, spec: { ...spec, multitaskStrategy: MultitaskStrategy.INTERRUPT } };
    for await (const _ of by("displace-2").runs.streamRun({ create })) break;
    expect(await entriesOf("displace-2")).toEqual([entry("displace-2", "RunService/StreamRun", targets, "begun")]);
    await by("displace-3").runs.createRun({ threadId, spec: kit.spec({ steps: ["c"] }) });
    expect(await entriesOf("displace-3")).toEqual([]);
    kit.gates.open();
  });

  it("deletions of runs, threads and assistants", async () => {
    const kit = await newKit();
    const { threadId } = kit;
    const runId = await running(kit, "a");
    await by("delete-1").runs.deleteRun({ threadId, runId });
    expect(await entriesOf("delete-1")).toEqual([
      entry("delete-1", "RunService/DeleteRun", [`run ${threadId}/${runId}`], "done"),
    ]);
    expect(await endsOf(threadId, runId)).toMatchObject([{ actor: "tester", outcome: "stopped" }]);
    expect((await rest("delete-2", "DELETE", `/threads/${threadId}`)).status).toBe(204);
    expect(await entriesOf("delete-2")).toEqual([
      entry("delete-2", "ThreadService/DeleteThread", [`thread ${threadId}`], "done"),
    ]);
    const { assistants, threads } = by("delete-3");
    const { assistantId } = (await assistants.createAssistant({ graphId: "gated" })).assistant!;
    await assistants.deleteAssistant({ assistantId });
    expect(await entriesOf("delete-3")).toEqual([
      entry("delete-3", "AssistantService/DeleteAssistant", [`assistant ${assistantId}`], "done"),
    ]);
    const pruned = (await threads.createThread({})).thread!.threadId;
    await by("prune-1").threads.pruneThreads({ threadIds: [pruned, randomUUID()], strategy: PruneStrategy.DELETE });
    expect(await entriesOf("prune-1")).toEqual([
      entry("prune-1", "ThreadService/PruneThreads", [`thread ${pruned}`], "1 pruned"),
    ]);
  });

  it("deletions of what is in long-term memory", async () => {
    const name = { namespace: ["notes", "of alice"], key: "one" };
    await rest("put-1", "PUT", "/store/items", { ...name, value: { secret } });
    expect((await rest("delete-4", "DELETE", "/store/items", name)).status).toBe(204);
    expect(await entriesOf("put-1")).toEqual([]);
    expect(await entriesOf("delete-4")).toEqual([
      entry("delete-4", "DELETE /store/items", ['item ["notes","of alice","one"]'], "done"),
    ]);
  });

  it("who was refused, and why", async () => {
    const path = "/threads/search?secret=1";
    expect((await rest("refuse-1", "POST", path, { metadata: { secret } }, "")).status).toBe(401);
    const nobody = { owner: "", actor: "", targets: [], decision: "refused", call: "POST /threads/search" };
    await until(async () => (await entriesOf("refuse-1")).length === 1);
    expect(await entriesOf("refuse-1")).toMatchObject([{ ...nobody, credential: "", outcome: "UNAUTHENTICATED" }]);
    const wrong = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
    expect((await rest("refuse-2", "POST", path, {}, wrong)).status).toBe(401);
    await until(async () => (await entriesOf("refuse-2")).length === 1);
    expect(await entriesOf("refuse-2")).toMatchObject([{ ...nobody, credential: keyId() }]);
    const reader = await app.keyOf(owner, ["read"]);
    const cancel = `/threads/${randomUUID()}/runs/${randomUUID()}/cancel`;
    expect((await rest("refuse-3", "POST", cancel, {}, reader)).status).toBe(403);
    await expect(clientOf(app, reader, "refuse-4").threads.createThread({})).rejects.toThrow();
    const refused = { owner, actor: "tester", credential: `key:${reader.split("_")[1]}`, decision: "refused" };
    await until(async () => (await entriesOf("refuse-4")).length === 1);
    expect(await entriesOf("refuse-3")).toMatchObject([{ ...refused, outcome: "lacks the scope cancel" }]);
    expect(await entriesOf("refuse-4")).toMatchObject([
      { ...refused, call: "ThreadService/CreateThread", outcome: "lacks the scope create" },
    ]);
  });

  it("a bounded number of entries of a flood, and how many more there were", async () => {
    const floods = 10_000;
    const of = async () => (await app.audited("")).filter(({ call }) => call === "GET /flood" || call === "refusals");
    const session = http2.connect(app.app.url);
    const ask = () =>
      new Promise<void>((resolve, reject) => {
        const stream = session.request({ ":path": "/flood" });
        stream.on("response", (headers) => headers[":status"] !== 401 && reject(new Error(`${headers[":status"]}`)));
        stream.on("error", reject).on("close", resolve).resume();
      });
    for (let asked = 0; asked < floods; asked += 500) await Promise.all(Array.from({ length: 500 }, ask));
    session.close();
    const told = (entries: AuditEntry[]) =>
      entries.reduce((sum, { call, outcome }) => sum + (call === "refusals" ? Number.parseInt(outcome, 10) : 1), 0);
    await until(async () => told(await of()) === floods);
    expect((await of()).length).toBeLessThan(2_000);
    expect((await of()).some(({ outcome }) => /^\d+ more refusals$/.test(outcome))).toBe(true);
  });

  it("nothing of what was sent, and no key", async () => {
    const text = JSON.stringify(await app.db.collection("audit").find({}).toArray());
    expect(text).toContain("cancel-1");
    for (const never of [secret, key, key.split("_").slice(2).join("_")]) expect(text).not.toContain(never);
  });
});

describe("an entry of the audit", () => {
  it("goes when it was said to go", async () => {
    const one = await app.db.collection("audit").findOne({ request_id: "cancel-1" });
    expect(one!.expire_at.getTime() - one!.at.getTime()).toBeGreaterThanOrEqual(3_600_000);
    expect(one!.expire_at.getTime() - one!.at.getTime()).toBeLessThan(3_660_000);
    const indexes = await app.db.collection("audit").listIndexes().toArray();
    expect(indexes).toContainEqual(expect.objectContaining({ key: { expire_at: 1 }, expireAfterSeconds: 0 }));
  });

  it("stays for ever when that was said", async () => {
    const ever = await app.start({ auditTtlMs: 0 });
    try {
      const { runs } = clientOf(ever, key, "ever-1");
      await expect(runs.cancelRun({ threadId: randomUUID(), runId: randomUUID() })).rejects.toThrow();
      const one = await app.db.collection("audit").findOne({ request_id: "ever-1" });
      expect(one!.expire_at ?? null).toBeNull();
    } finally {
      await ever.app.stop();
    }
  });
});
