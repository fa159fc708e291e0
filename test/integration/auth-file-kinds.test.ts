import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { makeApiKey } from "../../src/access/api-keys.ts";
import { createReinsClient, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { createApiKeyStore } from "../../src/storage/api-key-store.ts";
import { testDatabase } from "../support/engine.ts";
import { isAlive, until } from "../support/gates.ts";
import { descendantsOf } from "../support/processes.ts";
import { createRestClient } from "../support/rest-kit.ts";
import { startServerProcess } from "../support/server-process.ts";
import { authGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

const agents = fileURLToPath(new URL("../agents", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reins-auth-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A langgraph.json with this auth file. */
async function withAuth(path: string): Promise<string> {
  const file = join(folder, "langgraph.json");
  await writeFile(file, JSON.stringify({ graphs: { mirror: join(agents, "mirror.ts:graph") }, auth: { path } }));
  return file;
}
const other = (name: string) => withAuth(join(agents, `auth/other-files.ts:${name}`));

describe("auth files of other shapes", () => {
  let app: TestApp | undefined;
  afterEach(() => app?.close());

  async function start(name: string, config: object = {}): Promise<(identity: string) => ReinsClient> {
    app = await startTestApp({ config: { configFile: await other(name), ...config } });
    const { url } = app.app;
    return (identity) =>
      createReinsClient({
        baseUrl: url,
        interceptors: [
          (next) => (request) => {
            request.header.set("authorization", `Bearer ${identity}`);
            return next(request);
          },
        ],
      });
  }
  const spec = { assistantId: "mirror", input: toPayload({}) };
  const notFound = { code: Code.NotFound };

  it("without handlers nobody sees anybody else's", async () => {
    const client = await start("known_only");
    const { thread } = await client("alice").threads.createThread({});
    expect(thread!.metadata).toEqual({});
    await client("alice").runs.waitRun({ create: { threadId: thread!.threadId, spec } });
    await expect(client("bob").threads.getThread({ threadId: thread!.threadId })).rejects.toMatchObject(notFound);
    expect((await client("bob").threads.searchThreads({})).threads).toEqual([]);
    expect((await client("bob").runs.listRuns({})).runs).toEqual([]);
    expect((await client("alice").runs.listRuns({})).runs.length).toBe(1);
  });

  it("where some events have no handler, these are about what a user has made", async () => {
    const client = await start("incomplete");
    const { thread } = await client("alice").threads.createThread({ metadata: { langgraph_auth_user_id: "bob" } });
    const { threadId } = thread!;
    expect(thread!.metadata).toEqual({ owner: "alice", langgraph_auth_user_id: "alice" });
    // Nobody becomes another by a change of the metadata.
    const fields = { metadata: { langgraph_auth_user_id: "bob", a: 1 }, removeMetadata: ["langgraph_auth_user_id"] };
    const changed = await client("alice").threads.updateThread({ threadId, ...fields });
    expect(changed.thread!.metadata).toEqual({ owner: "alice", langgraph_auth_user_id: "alice", a: 1 });
    await client("alice").runs.waitRun({ create: { threadId, spec } });
    expect((await client("alice").threads.searchThreads({})).threads.length).toBe(1);
    const bob = client("bob");
    expect((await bob.threads.searchThreads({})).threads).toEqual([]);
    expect((await bob.runs.listRuns({})).runs).toEqual([]);
    for (const refused of [
      () => bob.threads.getThread({ threadId }),
      () => bob.threads.updateThread({ threadId, metadata: { b: 1 } }),
      () => bob.threads.deleteThread({ threadId }),
      () => bob.runs.createRun({ threadId, spec }),
      () => bob.threads.copyThread({ threadId }),
    ])
      await expect(refused()).rejects.toMatchObject(notFound);
    // The graphs are there for all, and what is configured is its maker's.
    const { assistant } = await client("alice").assistants.createAssistant({ graphId: "mirror" });
    expect((await bob.assistants.searchAssistants({})).assistants.map(({ name }) => name)).toEqual(["mirror"]);
    expect((await client("alice").assistants.countAssistants({})).count).toBe(2n);
    await expect(bob.assistants.getAssistant({ assistantId: assistant!.assistantId })).rejects.toMatchObject(notFound);
    await expect(bob.runs.createRun({ spec: { ...spec, assistantId: assistant!.assistantId } })).rejects.toMatchObject(
      notFound,
    );
    const rest = createRestClient(app!.app.url);
    const item = { namespace: ["a"], key: "b", value: {} };
    const headers = { authorization: "Bearer alice" };
    expect((await rest.put("/store/items", item, { headers })).status).toBe(403);
  });

  it("a filter by what a list holds finds pages as long as they were asked for", async () => {
    const client = await start("shared");
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      made.push((await client("a.alice").threads.createThread({})).thread!.threadId);
      await client("b.bob").threads.createThread({ metadata: { readers: ["a.alice"] } });
    }
    const first = await client("a.alice").threads.searchThreads({ pageSize: 3 });
    const second = await client("a.alice").threads.searchThreads({ pageSize: 3, pageToken: first.nextPageToken });
    expect([first.threads.length, second.threads.length, second.nextPageToken]).toEqual([3, 2, ""]);
    expect([...first.threads, ...second.threads].map(({ threadId }) => threadId).toSorted()).toEqual(made.toSorted());
    expect((await client("a.alice").threads.countThreads({})).count).toBe(5n);
    expect((await client("everybody.else").threads.countThreads({})).count).toBe(10n);
    expect((await client("everybody.else").threads.getThread({ threadId: made[0]! })).thread!.threadId).toBe(made[0]);
    await expect(client("b.bob").threads.getThread({ threadId: made[0]! })).rejects.toMatchObject(notFound);
  });

  it("the file may name the tenant", async () => {
    const client = await start("tenants");
    const { threadId } = (await client("acme.alice").threads.createThread({})).thread!;
    expect((await client("acme.bob").threads.getThread({ threadId })).thread!.threadId).toBe(threadId);
    await expect(client("other.carol").threads.getThread({ threadId })).rejects.toMatchObject(notFound);
    // Whatever they have together, a request is that of whoever has made it.
    const wanted = { threadId, requestId: "one", spec };
    const made = await client("acme.alice").runs.createRun(wanted);
    expect((await client("acme.alice").runs.createRun(wanted)).run!.runId).toBe(made.run!.runId);
    await expect(client("acme.bob").runs.createRun(wanted)).rejects.toMatchObject({ code: Code.AlreadyExists });
    await expect(client("").threads.countThreads({})).rejects.toMatchObject({ code: Code.Internal });
  });

  it("API keys are for operators, who see what all users have", async () => {
    const client = await start("shared", { apiKeys: true });
    const wanted = { owner: "auth-file", scopes: ["admin"], name: "ops", createdBy: "test" } as const;
    const { key, record } = makeApiKey(wanted, new Date());
    await createApiKeyStore({ apiKeys: app!.db.collection("api_keys") }).insert(record);
    await client("alice").threads.createThread({});
    await client("bob").threads.createThread({});
    expect((await client(key).threads.countThreads({})).count).toBe(2n);
    expect((await client("alice").threads.countThreads({})).count).toBe(1n);
    await expect(client("reins_unknown").threads.countThreads({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
  });
});

describe("a file that cannot be used refuses the start with a sentence", () => {
  const written = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return withAuth(`./${name}:auth`);
  };

  it.each([
    ["no file", () => withAuth("./gone.ts:auth"), /gone\.ts:auth cannot be used: there is no such file\.$/],
    ["Python", () => withAuth("./auth.py:auth"), /written in Python/],
    ["no such export", () => other("gone"), /it exports no "gone"\.$/],
    ["something else", () => other("nothing"), /"nothing" is no Auth of @langchain\/langgraph-sdk\/auth\.$/],
    ["an Auth that knows nobody", () => other("silent"), /\.authenticate\(…\) is missing\.$/],
    ["an import that throws", () => written("throws.mjs", 'throw new Error("no key");'), /cannot be used: no key\.$/],
    ["a process that ends", () => written("ends.mjs", "process.exit(4);"), /its process ended \(exit code 4\)\.$/],
    ["no path", () => withAuth(""), /"auth" must be an object with a path/],
  ] as const)("%s", async (_, file, sentence) => {
    const started = startTestApp({ config: { configFile: await file() } });
    await expect(started).rejects.toThrow(sentence);
    await expect(started).rejects.toMatchObject({ name: expect.stringMatching(/^(Config|Domain)Error$/) });
  });

  it("one who calls is not told by two", async () => {
    const accessFile = join(folder, "access.json");
    const issuer = { issuer: "https://issuer.example", audience: "reins", owner: "acme" };
    await writeFile(accessFile, JSON.stringify({ token_issuers: [issuer] }));
    const started = startTestApp({ config: { configFile: await other("shared"), accessFile } });
    await expect(started).rejects.toThrow(/keep one of them/);
  });
});

describe("what processes know of the environment, and of their server", () => {
  const served = async (env: Record<string, string> = {}) => {
    const database = await testDatabase();
    const common = { MONGODB_URI: database.uri, REINS_DATABASE: database.name, REINS_CONFIG: authGraphs };
    const server = await startServerProcess({ ...common, REINS_CHILDREN: "1", REINS_LOG_FORMAT: "json", ...env });
    return { database, server, rest: createRestClient(server.url) };
  };

  it.runIf(process.platform === "linux")("a blocked one ends with a server that is killed", async () => {
    const { database, server, rest } = await served();
    const started = descendantsOf(server.pid);
    expect(started.length).toBeGreaterThan(1);
    const busy = { headers: { authorization: "Bearer busy-token" } };
    expect((await rest.post("/threads/search", {}, busy)).status).toBe(503);
    await server.end("SIGKILL");
    await until(() => started.every((pid) => !isAlive(pid)));
    await database.close();
  });

  it("the file has its secrets, and none of the server's; graphs have neither", async () => {
    const { database, server, rest } = await served({
      REINS_AUTH_ENV: "SIGNING_KEY, AUTH_SECRET",
      SIGNING_KEY: "only for the auth file",
      REINS_CHILD_ENV: "SHARED",
      SHARED: "for all",
      OTHER: "for the auth file, and for no graph",
    });
    try {
      const headers = { authorization: "Bearer environment-token" };
      const wait = async (graph: string) =>
        (await rest.post("/runs/wait", { assistant_id: graph, input: {} }, { headers })).body;
      const { variables: ofGraph } = await wait("environment");
      const { seen } = await wait("mirror");
      const { variables: ofAuth } = seen.configurable.langgraph_auth_user;
      expect(ofAuth).toMatchObject({
        SIGNING_KEY: "only for the auth file",
        AUTH_SECRET: "from langgraph.json",
        SHARED: "for all",
        OF_ALL: "everybody's",
      });
      expect(ofGraph).toMatchObject({ SHARED: "for all", OF_ALL: "everybody's" });
      expect([ofAuth.OTHER, ofGraph.OTHER]).toEqual(["for the auth file, and for no graph", undefined]);
      const names = Object.keys(ofGraph);
      expect(names.filter((name) => /^(REINS_|MONGODB_URI|SIGNING_KEY|AUTH_SECRET)/.test(name))).toEqual([]);
      expect(Object.keys(ofAuth).filter((name) => /^(REINS_|MONGODB_URI)/.test(name))).toEqual([]);
      if (process.platform !== "linux") return;
      // Nor can a graph that runs as the same user read them where the others were started.
      const started = [server.pid, ...descendantsOf(server.pid)];
      expect(started.length).toBeGreaterThan(2);
      for (const pid of started) {
        const environment = await readFile(`/proc/${pid}/environ`, "utf8");
        expect(environment).not.toContain("only for the auth file");
        expect(environment).not.toContain("from langgraph.json");
      }
    } finally {
      await server.end("SIGTERM");
      await database.close();
    }
  });
});
