import { randomUUID } from "node:crypto";
import net from "node:net";
import { text } from "node:stream/consumers";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestClient } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let rest: RestClient;
let thread: string;
beforeAll(async () => {
  app = await startTestApp({ config: { maxRequestBytes: 2_000 } });
  rest = createRestClient(app.app.url);
  thread = `/threads/${(await rest.post("/threads", {})).body.thread_id}`;
});
afterAll(() => app.close());

/** Nothing has been stored by what was refused. */
async function expectNothing(): Promise<void> {
  expect((await rest.get(`${thread}/runs`)).body).toEqual([]);
  expect((await rest.get(thread)).body).toMatchObject({ status: "idle", metadata: {} });
}

/** Sends bytes as they are and answers all that comes back. */
async function raw(bytes: string): Promise<string> {
  const socket = net.connect(app.app.port, "127.0.0.1");
  const answer = text(socket);
  socket.write(bytes);
  return answer;
}

describe("a run that cannot be meant so", () => {
  it.each([
    ["no assistant", {}, "assistant_id"],
    ["an empty assistant", { assistant_id: "" }, "assistant_id"],
    ["an assistant of the wrong type", { assistant_id: 7 }, "assistant_id"],
    ["an unknown strategy", { multitask_strategy: "zzz" }, "multitask_strategy"],
    ["an unknown mode", { stream_mode: ["values", "zzz"] }, "stream_mode"],
    ["an unknown durability", { durability: "never" }, "durability"],
    ["an unknown wish for the disconnect", { on_disconnect: "zzz" }, "on_disconnect"],
    ["an unknown wish for the completion", { on_completion: "zzz" }, "on_completion"],
    ["an unknown wish for a missing thread", { if_not_exists: "zzz" }, "if_not_exists"],
    ["a text for a boolean", { stream_subgraphs: "true" }, "stream_subgraphs"],
    ["a checkpoint that is no id", { checkpoint_id: "zzz" }, "Invalid checkpoint ID"],
    ["a delay into the past", { after_seconds: -1 }, "after"],
    ["a delay without an end", { after_seconds: 1e19 }, "after_seconds"],
    ["a delay before all time", { after_seconds: -1e19 }, "after_seconds"],
    ["a text for a delay", { after_seconds: "1" }, "after_seconds"],
    ["a list for metadata", { metadata: [] }, "metadata"],
    ["a list for a context", { context: [] }, "context"],
    ["a limit that is none", { config: { recursion_limit: 1.5 } }, "recursion_limit"],
    ["an unknown node", { interrupt_before: ["nonode"] }, "interrupt_before"],
    ["a node to go to that there is not", { input: null, command: { goto: "nonode" } }, "command.goto"],
    ["a Send to a node that there is not", { input: null, command: { goto: [{ node: "nonode" }] } }, "command.sends"],
    ["a command that is empty", { input: null, command: {} }, "spec.command"],
    ["a command that answers null", { input: null, command: { resume: null } }, "spec.command"],
    ["a command of nulls and empty things", { command: { resume: null, update: {}, goto: [] } }, "spec.command"],
    ["a command with an empty list of pairs", { command: { update: [] } }, "spec.command"],
    ["an update of what is no channel", { command: { update: [["constructor", 1]] } }, "spec.command.update"],
    ["an update that is no pair", { command: { update: [["log", [], 1]] } }, "command.update"],
    ["a command beside an input", { input: {}, command: { resume: 1 } }, "spec.command"],
    ["a webhook that is no address", { webhook: "nowhere" }, "webhook"],
    ["a run id that is none", { run_id: "zzz" }, "run_id"],
  ])("is 422 and names the field: %s", async (name, body, field) => {
    const whole = name === "no assistant" ? body : { assistant_id: "gated", ...body };
    const answers = [];
    for (const path of [`${thread}/runs`, `${thread}/runs/wait`, `${thread}/runs/stream`]) {
      answers.push(await rest.post(path, whole));
    }
    for (const { status, body: answer } of answers) {
      expect([status, answer]).toEqual([422, { detail: expect.stringContaining(field) }]);
    }
    await expectNothing();
  });

  it("is 422 with an empty command without a thread as well, and in a batch", async () => {
    const body = { assistant_id: "gated", command: { resume: null } };
    for (const path of ["/runs", "/runs/wait", "/runs/stream", "/runs/batch"]) {
      const answer = await rest.post(path, path === "/runs/batch" ? [body] : body);
      expect([answer.status, answer.body]).toEqual([422, { detail: expect.stringContaining("spec.command") }]);
    }
    const live = (await rest.get("/metrics?format=json")).body.queue;
    expect(live).toEqual({ n_pending: 0, n_running: 0 });
  });

  it("is 400 with both a configuration and a context", async () => {
    const body = { assistant_id: "gated", config: { configurable: { a: 1 } }, context: { a: 1 } };
    const answer = await rest.post(`${thread}/runs`, body);
    expect([answer.status, answer.body.detail]).toEqual([
      400,
      expect.stringMatching(/^Cannot specify both configurable and context/),
    ]);
    await expectNothing();
  });
});

describe("a body that cannot be read", () => {
  it.each([
    ["broken JSON", '{"metadata": ', {}, 422, "Invalid JSON in request body"],
    ["nothing", "", {}, 422, "Invalid JSON in request body"],
    ["a text", '"x"', {}, 422, "body"],
    ["half a character", "\u0000", {}, 422, "Invalid JSON in request body"],
    ["another type", "metadata=1", { "content-type": "application/x-www-form-urlencoded" }, 415, "application/json"],
    ["plain text, which any web page can send", "{}", { "content-type": "text/plain" }, 415, "application/json"],
    ["a compressed one", "{}", { "content-encoding": "gzip" }, 415, "content-encoding"],
    ["too much", JSON.stringify({ metadata: { a: "x".repeat(3_000) } }), {}, 413, "2000 bytes"],
  ] as const)("is refused with a sentence: %s", async (_, body, headers, status, sentence) => {
    const answer = await rest.post("/threads", body, { headers });
    expect([answer.status, answer.body]).toEqual([status, { detail: expect.stringContaining(sentence) }]);
    expect((await rest.get("/ok")).status).toBe(200);
  });

  it("is refused when it grows too large on its way", async () => {
    const chunk = `${(1_500).toString(16)}\r\n${" ".repeat(1_500)}\r\n`;
    const head =
      "POST /threads HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    const answer = await raw(`${head}connection: close\r\n\r\n${chunk}${chunk}0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("is taken for JSON without a type, and unknown fields are left alone", async () => {
    const head = "POST /threads HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 13\r\n\r\n";
    expect(await raw(`${head}{"nothing":1}`)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("what cannot be kept", () => {
  it.each([
    ["a thread for ever and a day", () => ["/threads", { ttl: 1e19 }], "ttl"],
    ["a thread until before all time", () => ["/threads", { ttl: { ttl: -1e19 } }], "ttl"],
    ["a name that is no name in metadata", () => ["/threads", '{"metadata":{"__proto__":1}}'], "metadata"],
    ["one in a context", () => [`${thread}/runs`, '{"assistant_id":"gated","context":{"__proto__":{}}}'], "context"],
    [
      "one in a pair",
      () => [`${thread}/runs`, '{"assistant_id":"gated","command":{"update":[["log",["a"]],["__proto__",{"x":1}]]}}'],
      "spec.command.update",
    ],
    [
      "one in an input",
      () => [`${thread}/runs`, '{"assistant_id":"gated","input":{"a":[{"__proto__":1}]}}'],
      "spec.input",
    ],
    [
      "one in a state",
      () => [`${thread}/state`, '{"assistant_id":"gated","values":{"__proto__":{"x":1}},"as_node":"step"}'],
      "values",
    ],
    [
      "one in a map of checkpoints",
      () => [`${thread}/state/checkpoint`, '{"checkpoint":{"checkpoint_map":{"__proto__":"x"}}}'],
      "checkpoint_map",
    ],
    [
      "one in a configuration",
      () => [`${thread}/runs`, '{"assistant_id":"gated","config":{"configurable":{"__proto__":{}}}}'],
      "config.configurable",
    ],
  ] as const)("is 422 and names the field: %s", async (_, request, field) => {
    const [path, body] = request() as [string, unknown];
    const answer = await rest.post(path, body);
    expect([answer.status, answer.body]).toEqual([422, { detail: expect.stringContaining(field) }]);
    await expectNothing();
  });

  it("is 422 in an item as well", async () => {
    const answer = await rest.put("/store/items", '{"namespace":["a"],"key":"k","value":{"__proto__":1}}');
    expect([answer.status, answer.body]).toEqual([422, { detail: expect.stringContaining('"__proto__"') }]);
    expect((await rest.get("/store/items?namespace=a&key=k")).body).toBeNull();
  });
});

describe("a body that is nested beyond all sense", () => {
  const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  let roomy: TestApp;
  let kit: Awaited<ReturnType<typeof createRestKit>>;
  beforeAll(async () => {
    roomy = await startTestApp();
    kit = await createRestKit(roomy.app.url);
    kit.gates.open();
  });
  afterAll(async () => {
    await roomy.close();
    kit.gates.remove();
  });

  const run = '"assistant_id":"gated"';
  it.each([
    ["POST", "/runs", (value: string) => `{${run},"input":${value}}`],
    ["POST", "/runs/wait", (value: string) => `{${run},"context":{"a":${value}}}`],
    ["POST", "/runs/stream", (value: string) => `{${run},"config":{"configurable":{"a":${value}}}}`],
    ["POST", "/runs", (value: string) => `{${run},"metadata":{"a":${value}}}`],
    ["POST", "/runs", (value: string) => `{${run},"command":{"resume":${value}}}`],
    ["POST", "/runs", (value: string) => `{${run},"command":{"update":{"a":${value}}}}`],
    ["POST", "/state", (value: string) => `{"assistant_id":"gated","values":${value}}`],
    ["POST", "/commands", (value: string) => `{"id":1,"method":"run.start","params":{${run},"input":${value}}}`],
    ["PUT", "/store/items", (value: string) => `{"namespace":["a"],"key":"k","value":{"a":${value}}}`],
    ["POST", "/threads/search", (value: string) => `{"values":{"a":${value}}}`],
  ] as const)("is 422: %s %s %#", async (method, path, body) => {
    const at = /^.(store|threads)/.test(path) ? path : kit.thread + path;
    for (const levels of [1_000, 5_000, 100_000]) {
      const response = await kit.rest.send(method, at, body(deep(levels)));
      const answer = [response.status, await response.json()];
      expect(answer).toEqual([422, { detail: expect.stringMatching(/^body: must not be nested deeper than 1000 /) }]);
    }
    expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
  });

  it.each([
    [
      "too many values",
      () => ["/runs", { assistant_id: "gated", input: Array(500_001).fill(1) }],
      413,
      /500000 values$/,
    ],
    [
      "too many in a filter",
      () => ["/threads/search", { metadata: { a: Array(20_001).fill(1) } }],
      413,
      /beside its payl/,
    ],
    [
      "many that are wrong",
      () => ["/runs", { assistant_id: "gated", config: { tags: Array(9_000).fill(1) } }],
      422,
      /tags\.19: .*; and 8980 more$/,
    ],
    [
      "many wrong ids",
      () => ["/runs/cancel", { thread_id: randomUUID(), run_ids: Array(9_000).fill("x") }],
      422,
      /; and 8980 more$/,
    ],
  ] as const)("is refused, in few words: %s", async (_, what, status, says) => {
    const answer = await kit.rest.post(...(what() as unknown as [string, object]));
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringMatching(says)]);
    expect(answer.text.length).toBeLessThan(12_000);
  });

  it("is read elsewhere when it is large, and comes back as it was", async () => {
    const messages = Array.from({ length: 20_000 }, (_, i) => ({
      id: `m${i}`,
      content: `ü "${i}" \\ \u2028`,
      more: { n: [i] },
    }));
    const request_id = randomUUID();
    const body = kit.body({ steps: [], note: messages }, { request_id });
    const { run_id: id } = (await kit.rest.post(`${kit.thread}/runs`, body)).body;
    expect((await kit.get(id)).kwargs.input.note).toEqual(messages);
    // Over another protocol, written otherwise, it is the same request.
    const input = {
      encoding: {
        case: "value" as const,
        value: fromJson(ValueSchema, { note: messages, ...body.input } as JsonObject),
      },
    };
    const again = await roomy.client.runs.createRun({
      threadId: kit.threadId,
      requestId: request_id,
      spec: { assistantId: "gated", input },
    });
    expect(again.run!.runId).toBe(id);
    const other = { ...body, input: { ...body.input, note: messages.toReversed() } };
    expect((await kit.rest.post(`${kit.thread}/runs`, other)).status).toBe(409);
  });

  it("is taken as far as it makes sense, and comes back as it was", async () => {
    const note = JSON.parse(deep(990));
    const id = await kit.start({ steps: [], note });
    expect((await kit.rest.get(`${kit.thread}/runs/${id}?wait=true`)).body).toMatchObject({ status: "success" });
    expect(JSON.stringify((await kit.get(id)).kwargs.input.note)).toBe(deep(990));
  });
});

describe("a path that leads nowhere", () => {
  it.each([
    ["/nothing", 404, "Not Found"],
    ["/threads/../ok/nothing", 404, "Not Found"],
    ["/threads/%2e%2e/runs", 422, "Invalid thread ID: must be a UUID"],
    ["/threads/x", 422, "Invalid thread ID: must be a UUID"],
    ["/threads/%00", 422, "Invalid thread ID: must be a UUID"],
    [`/threads/${randomUUID()}%0d%0aset-cookie:x/state`, 422, "Invalid thread ID: must be a UUID"],
    ["/threads/%zz", 404, "Not Found"],
    [`/threads/${randomUUID()}/runs/x`, 422, "Invalid run ID: must be a UUID"],
    [`/threads/${"x".repeat(2_000)}`, 404, "Not Found"],
  ])("%s", async (path, status, detail) => {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(JSON.stringify({ detail }));
    expect(answer.toLowerCase()).not.toContain("\r\nset-cookie");
  });

  it("has other methods, which it names", async () => {
    // All but the first are no threads or runs, although the path of one would take them.
    for (const answer of [
      await rest.put("/threads", {}),
      await rest.patch("/threads/search", {}),
      await rest.get("/threads/count"),
      await rest.get(`/threads/${randomUUID()}/runs/stream`),
      await rest.delete(`/threads/${randomUUID()}/runs/wait`),
    ]) {
      expect([answer.status, answer.body]).toEqual([405, { detail: "Method Not Allowed" }]);
      expect(answer.headers.get("allow")).toBe("POST");
    }
  });

  it("may end in a slash", async () => {
    expect((await rest.get("/ok/")).status).toBe(200);
  });
});

describe("a query that cannot be meant so", () => {
  it.each([
    ["limit=abc", "limit"],
    ["limit=-1", "limit"],
    ["limit=1001", "limit"],
    ["limit=1&limit=2", "limit"],
    ["offset=-1", "offset"],
    ["status=zzz", "status"],
    ["status=", "status"],
    ["select=zzz", "select"],
  ])("of a list is 422: %s", async (query, field) => {
    const answer = await rest.get(`${thread}/runs?${query}`);
    expect([answer.status, answer.body]).toEqual([422, { detail: expect.stringContaining(field) }]);
  });

  it("of a check is 422", async () => {
    const answer = await rest.get("/ok?check_db=zzz");
    expect([answer.status, answer.body]).toEqual([422, { detail: expect.stringContaining("check_db") }]);
  });

  it.each(["limit=0", "limit=abc", "before=zzz"])("of a history is 422: %s", async (query) => {
    expect((await rest.get(`${thread}/history?${query}`)).status).toBe(422);
  });

  it.each([
    ["threads", { limit: 0 }],
    ["threads", { limit: 1001 }],
    ["threads", { offset: -1 }],
    ["threads", { status: "zzz" }],
    ["threads", { sort_by: "zzz" }],
    ["threads", { sort_order: "up" }],
    ["threads", { ids: ["zzz"] }],
    ["threads", { metadata: [] }],
    ["threads", { select: ["zzz"] }],
    ["assistants", { limit: 0 }],
    ["assistants", { sort_by: "zzz" }],
    ["assistants", { sort_order: "up" }],
    ["assistants", { select: ["zzz"] }],
  ])("of a search in %s is 422: %j", async (what, body) => {
    const answer = await rest.post(`/${what}/search`, body);
    expect([answer.status, answer.body]).toEqual([422, { detail: expect.any(String) }]);
  });
});

describe("a page of elsewhere", () => {
  it("is refused, and one of an allowed origin may read the headers that clients need", async () => {
    const foreign = await rest.get("/ok", { headers: { origin: "https://evil.example" } });
    expect(foreign.status).toBe(403);
    const own = await rest.get("/ok", { headers: { origin: "http://localhost:5173" } });
    expect(own.headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
    for (const name of ["Location", "Content-Location", "X-Pagination-Total", "X-Pagination-Next"]) {
      expect(own.headers.get("access-control-expose-headers")).toContain(name);
    }
  });
});

describe("an input with anything in it", () => {
  it("comes back as it was", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const odd = { $where: "1", "a.b": "\r\n\u0000\u2028", __proto: { x: 1 }, "": [null, true, 1e21] };
    const { run_id: id } = (
      await kit.rest.post(`${kit.thread}/runs`, kit.body({ steps: [], ...odd }, { metadata: odd }))
    ).body;
    const run = await kit.get(id);
    expect(run.kwargs.input).toMatchObject(odd);
    expect(run.metadata).toMatchObject(odd);
    kit.gates.remove();
  });
});
