import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MultitaskStrategy, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import type { ReinsClient } from "../../src/client/index.ts";
import { askRoute, askRpc } from "../support/ask-as.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { type FurnishedOwner, furnish, type Names, newNames } from "../support/furnished-owner.ts";
import { until } from "../support/gates.ts";
import { clientOf, type GuardedApp, newOwner, startGuardedApp } from "../support/guarded-app.ts";
import type { RouteRequest } from "../support/route-cases.ts";

let app: GuardedApp;
let alice: string;
let hers: FurnishedOwner;
let client: ReinsClient;
/** Keys of hers: what they may but for stopping, and with it. */
let without: string;
let withIt: string;

beforeAll(async () => {
  app = await startGuardedApp();
  alice = newOwner("alice");
  const key = await app.keyOf(alice);
  client = clientOf(app, key);
  hers = await furnish(client, app.app.url, key);
  without = await app.keyOf(alice, ["read", "create", "delete"]);
  withIt = await app.keyOf(alice, ["read", "create", "delete", "cancel"]);
  await until(async () => (await app.db.collection("runs").countDocuments({ status: "running" })) === 1);
});
afterAll(async () => {
  hers.kit.gates.remove();
  await app.close();
});

async function stored(): Promise<object> {
  const { nudges: _, ...others } = await databaseDigest(app.db);
  return others;
}

const { createRun, batchCreateRuns, waitRun, streamRun, joinRun, joinRunStream } = RunService.method;
const later = { assistantId: "gated", after: { seconds: 3_600n } };
const spec = (multitaskStrategy: MultitaskStrategy) => ({ ...later, multitaskStrategy });
const run = ({ threadId, live }: Names) => ({ threadId, runId: live });

type Rpc = [string, DescMethod, (names: Names) => object];
const strategies: Rpc[] = (["INTERRUPT", "ROLLBACK"] as const).flatMap((name): Rpc[] => {
  const strategy = MultitaskStrategy[name];
  const create = ({ threadId }: Names) => ({ threadId, spec: spec(strategy) });
  return [
    [`${name} of CreateRun`, createRun, create],
    [`${name} of WaitRun`, waitRun, (names) => ({ create: create(names) })],
    [`${name} of StreamRun`, streamRun, (names) => ({ create: create(names) })],
    [
      `${name} in a batch`,
      batchCreateRuns,
      ({ assistantId }) => ({
        runs: [{ spec: spec(MultitaskStrategy.ENQUEUE) }, { spec: { ...spec(strategy), assistantId } }],
      }),
    ],
  ];
});
const leavers: Rpc[] = (["CANCEL", "CANCEL_IF_LAST"] as const).flatMap((name): Rpc[] => {
  const onDisconnect = OnDisconnect[name];
  const create = ({ threadId }: Names) => ({ threadId, spec: later });
  return [
    [`${name} of WaitRun`, waitRun, (names) => ({ create: create(names), onDisconnect })],
    [`${name} of StreamRun`, streamRun, (names) => ({ create: create(names), onDisconnect })],
    [`${name} of JoinRun`, joinRun, (names) => ({ ...run(names), onDisconnect })],
    [`${name} of JoinRunStream`, joinRunStream, (names) => ({ ...run(names), onDisconnect })],
  ];
});

const onThread =
  (rest: string, body?: object) =>
  ({ threadId }: Names): RouteRequest => ({ path: `/threads/${threadId}${rest}`, body });
const onRun =
  (rest: string) =>
  ({ threadId, live }: Names): RouteRequest => ({ path: `/threads/${threadId}/runs/${live}${rest}` });
const body = (more: object) => ({ assistant_id: "gated", after_seconds: 3_600, ...more });

const routes: [string, string, (names: Names) => RouteRequest][] = [
  ["a strategy", "POST", onThread("/runs", body({ multitask_strategy: "interrupt" }))],
  ["a strategy", "POST", onThread("/runs", body({ multitask_strategy: "rollback" }))],
  ["a strategy of a wait", "POST", onThread("/runs/wait", body({ multitask_strategy: "rollback" }))],
  ["a strategy of a stream", "POST", onThread("/runs/stream", body({ multitask_strategy: "interrupt" }))],
  ["on_disconnect of a wait", "POST", onThread("/runs/wait", body({ on_disconnect: "cancel" }))],
  ["on_disconnect of a stream", "POST", onThread("/runs/stream", body({ on_disconnect: "cancel" }))],
  ["on_disconnect in the query", "POST", onThread("/runs/wait?on_disconnect=cancel", body({}))],
  [
    "on_disconnect of a stateless wait",
    "POST",
    ({ assistantId }) => ({ path: "/runs/wait", body: body({ on_disconnect: "cancel", assistant_id: assistantId }) }),
  ],
  [
    "on_disconnect of a stateless stream",
    "POST",
    ({ assistantId }) => ({ path: "/runs/stream", body: body({ on_disconnect: "cancel", assistant_id: assistantId }) }),
  ],
  ["on_disconnect of a join", "GET", onRun("/join?on_disconnect=cancel")],
  ["cancel_on_disconnect of a join", "GET", onRun("/join?cancel_on_disconnect=true")],
  ["cancel_on_disconnect of a stream", "GET", onRun("/stream?cancel_on_disconnect=1")],
];

describe("what may stop a run takes the scope cancel, and does nothing without it", () => {
  it.each([...strategies, ...leavers])("%s", async (_, method, request) => {
    const before = await stored();
    const told = await askRpc(app.app.url, without, method, request(hers));
    expect([told.status, told.text]).toEqual([Code.PermissionDenied, expect.stringContaining('"scope":"cancel"')]);
    expect(await stored()).toEqual(before);
    // A batch has no use for a strategy.
    const allowed = method === batchCreateRuns ? Code.InvalidArgument : Code.NotFound;
    expect((await askRpc(app.app.url, withIt, method, request(newNames()))).status).toBe(allowed);
  });

  it.each(routes)("%s: %s", async (_, method, request) => {
    const before = await stored();
    const told = await askRoute(app.app.url, without, method, request(hers));
    expect([told.status, told.text]).toEqual([403, expect.stringMatching(/takes the scope \\+"cancel\\+"/)]);
    expect(await stored()).toEqual(before);
    expect((await askRoute(app.app.url, withIt, method, request(newNames()))).status).toBe(404);
  });

  it.each(["interrupt", "rollback"])("a strategy of a command: %s", async (multitask_strategy) => {
    const before = await stored();
    const command = { id: 1, method: "run.start", params: { assistant_id: "gated", multitask_strategy } };
    const { text } = await askRoute(app.app.url, without, "POST", onThread("/commands", command)(hers));
    expect(text).toMatch(/takes the scope .*cancel/);
    expect(await stored()).toEqual(before);
  });

  it("and what leaves others alone does not", async () => {
    const { threadId } = (await client.threads.createThread({})).thread!;
    const mild = { create: { threadId, spec: spec(MultitaskStrategy.ENQUEUE) }, onDisconnect: OnDisconnect.CONTINUE };
    expect((await askRpc(app.app.url, without, streamRun, mild)).status).toBe("OK");
  });
});

describe("commands of the streaming protocol take what their RPCs take", () => {
  const commands: [string, object][] = [
    ["run.start", { assistant_id: "gated", input: {} }],
    ["state.fork", { checkpoint_id: newNames().checkpointId }],
  ];
  it.each(commands)("%s takes create", async (method, params) => {
    const reader = await app.keyOf(alice, ["read"]);
    const before = await stored();
    const { text } = await askRoute(
      app.app.url,
      reader,
      "POST",
      onThread("/commands", { id: 1, method, params })(hers),
    );
    expect(text).toMatch(/takes the scope .*create/);
    expect(await stored()).toMatchObject({ ...before, api_keys: expect.anything() });
  });
});

describe("the deletion of what is live", () => {
  const { deleteRun } = RunService.method;
  const { deleteThread } = ThreadService.method;
  it("takes the scope cancel as well, and leaves all as it is without it", async () => {
    const { threadId, live: runId } = hers;
    for (const [method, request] of [
      [deleteRun, { threadId, runId }],
      [deleteThread, { threadId }],
    ] as const) {
      const told = await askRpc(app.app.url, without, method, request);
      expect([told.status, told.text]).toEqual([Code.PermissionDenied, expect.stringContaining("cancel")]);
    }
    for (const path of [`/threads/${threadId}/runs/${runId}`, `/threads/${threadId}`]) {
      const told = await askRoute(app.app.url, without, "DELETE", { path });
      expect([path, told.status]).toEqual([path, 403]);
      expect(told.text).toContain("cancel");
    }
    expect(await hers.kit.get(runId)).toMatchObject({ status: RunStatus.RUNNING });
    expect((await hers.kit.get(runId)).cancellation).toBeUndefined();
    const tried = (await app.audited(alice)).filter(({ targets }) =>
      targets.some((target) => [`run ${threadId}/${runId}`, `thread ${threadId}`].includes(target)),
    );
    const refused = { decision: "refused", outcome: "PERMISSION_DENIED", actor: "tester" };
    const calls = ["RunService/DeleteRun", "ThreadService/DeleteThread"];
    expect(tried).toMatchObject([...calls, ...calls].map((call) => ({ ...refused, call })));
  });

  it("is done for whoever has both, and that of what is over for whoever has delete", async () => {
    const { threadId, live, over, kit } = hers;
    expect((await askRpc(app.app.url, withIt, deleteRun, { threadId, runId: live })).status).toBe("OK");
    expect((await askRpc(app.app.url, without, deleteRun, { threadId, runId: over })).status).toBe("OK");
    const { threadId: idle } = (await client.threads.createThread({})).thread!;
    expect((await askRpc(app.app.url, without, deleteThread, { threadId: idle })).status).toBe("OK");
    await kit.start({ steps: ["c"] });
    await kit.gates.started("c");
    expect((await askRoute(app.app.url, withIt, "DELETE", { path: `/threads/${threadId}` })).status).toBe(204);
  });
});
