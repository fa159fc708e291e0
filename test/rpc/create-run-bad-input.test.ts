import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Dump, dump } from "../support/dump.ts";
import { rawCall } from "../support/raw-call.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A request that is wrong in one place: what is changed, the field that the error names, and a piece of its sentence. */
type Row = readonly [what: string, change: () => Record<string, unknown>, field: string, sentence: RegExp];

const unknown = randomUUID();
const uuid = /valid UUID/;
const bytes = (text: string) => ({ json: Buffer.from(text).toString("base64") });

let app: TestApp;
/** A thread with a finished run, another one beside it, and what is stored. */
let kit: RunKit;
let other: RunKit;
let finished: string;
let foreign: string;
let foreignCheckpoint: string;
let before: Dump;

beforeAll(async () => {
  app = await startTestApp({ config: { maxMetadataBytes: 1000 } });
  [kit, other] = [await createRunKit(app), await createRunKit(app)];
  for (const each of [kit, other]) each.gates.open();
  finished = (await kit.join((await kit.start({ steps: ["a"] })).runId)).runId;
  foreign = (await other.join((await other.start({ steps: ["a"] })).runId)).runId;
  foreignCheckpoint = (await other.state()).checkpoint!.checkpointId;
  before = await dump(app.db);
});
afterAll(async () => {
  for (const each of [kit, other]) each.gates.remove();
  await app.close();
});

const spec = (change: Record<string, unknown>) => () => ({ spec: { assistantId: "gated", ...change } });
const request = (change: Record<string, unknown>) => () => change;

/** What the message's shape says: INVALID_FIELD with the field's whole path. */
const shape: Row[] = [
  ["no spec", request({ spec: undefined }), "spec", /required/],
  ["a spec that is no message", request({ spec: "gated" }), "spec", /is not a reins.v1.RunSpec/],
  ["a field that there is not", request({ onDisconect: 1 }), "onDisconect", /there is no such field; there are /],
  ["a field of the spec that there is not", spec({ delay: "1s" }), "spec.delay", /there is no such field/],
  ["thread_id: no UUID", request({ threadId: "mine" }), "thread_id", uuid],
  ["thread_id: a number", request({ threadId: 7 }), "thread_id", /string/],
  ["run_id: no UUID", request({ runId: `${unknown}0` }), "run_id", uuid],
  ["if_not_exists: an unknown number", request({ ifNotExists: 3 }), "if_not_exists", /IF_NOT_EXISTS_CREATE/],
  ["if_not_exists: misspelt", request({ ifNotExists: "CRATE" }), "if_not_exists", /IF_NOT_EXISTS_CREATE/],
  ["request_id: a number", request({ requestId: 5 }), "request_id", /string/],
  ["request_id: too long", request({ requestId: "x".repeat(201) }), "request_id", /at most 200 characters/],
  ["parent: no message", request({ parent: unknown }), "parent", /is not a reins.v1.ParentRun/],
  ["parent: no thread", request({ parent: { runId: unknown } }), "parent.thread_id", uuid],
  ["parent: no run", request({ parent: { threadId: unknown } }), "parent.run_id", uuid],
  ["parent: no UUID", request({ parent: { threadId: unknown, runId: "x" } }), "parent.run_id", uuid],
  [
    "parent: independent is a word",
    request({ parent: { threadId: unknown, runId: unknown, independent: "yes" } }),
    "parent.independent",
    /bool/,
  ],
  ["assistant_id: empty", spec({ assistantId: "" }), "spec.assistant_id", /at least 1 character/],
  ["assistant_id: too long", spec({ assistantId: "x".repeat(201) }), "spec.assistant_id", /at most 200 characters/],
  ["input: no payload", spec({ input: 5 }), "spec.input", /is not a reins.v1.Payload/],
  ["input: in no encoding", spec({ input: {} }), "spec.input.encoding", /exactly one field is required/],
  ["input: no base64", spec({ input: { json: "*" } }), "spec.input.json", /base64/],
  ["config: no message", spec({ config: [] }), "spec.config", /is not a reins.v1.RunConfig/],
  ["config.tags: a text", spec({ config: { tags: "a" } }), "spec.config.tags", /Array/],
  [
    "config.recursion_limit: too many",
    spec({ config: { recursionLimit: 100_001 } }),
    "spec.config.recursion_limit",
    /less than or equal to 100000/,
  ],
  ["metadata: a list", spec({ metadata: ["a"] }), "spec.metadata", /Struct/],
  ["checkpoint_id: no UUID", spec({ checkpointId: "newest" }), "spec.checkpoint_id", uuid],
  ["stream_modes: a text", spec({ streamModes: "values" }), "spec.stream_modes", /Array/],
  ["stream_modes: misspelt", spec({ streamModes: ["VALUE"] }), "spec.stream_modes", /STREAM_MODE_VALUES/],
  ["stream_modes: twice the same", spec({ streamModes: [1, 1] }), "spec.stream_modes", /unique/],
  ["stream_modes: the unspecified one", spec({ streamModes: [0] }), "spec.stream_modes[0]", /STREAM_MODE_VALUES/],
  ["stream_subgraphs: a number", spec({ streamSubgraphs: 1 }), "spec.stream_subgraphs", /bool/],
  ["interrupt_before: no name", spec({ interruptBefore: [""] }), "spec.interrupt_before[0]", /at least 1 character/],
  [
    "interrupt_after: too many",
    spec({ interruptAfter: Array.from({ length: 1001 }, (_, i) => `n${i}`) }),
    "spec.interrupt_after",
    /no more than 1000 item/,
  ],
  [
    "multitask_strategy: an unknown number",
    spec({ multitaskStrategy: 5 }),
    "spec.multitask_strategy",
    /MULTITASK_STRATEGY_ENQUEUE, MULTITASK_STRATEGY_REJECT/,
  ],
  ["durability: misspelt", spec({ durability: "synch" }), "spec.durability", /DURABILITY_SYNC/],
  ["timeout: none", spec({ timeout: "0s" }), "spec.timeout", /greater than or equal to 0.001s/],
  ["timeout: too long", spec({ timeout: "31536001s" }), "spec.timeout", /less than or equal to 31536000s/],
  ["after: negative", spec({ after: "-1s" }), "spec.after", /greater than or equal to 0s/],
  ["after: a little negative", spec({ after: "-0.001s" }), "spec.after", /greater than or equal to 0s/],
  ["after: over 10 years", spec({ after: "315360001s" }), "spec.after", /less than or equal to 315360000s/],
  // Which of the fields of a type could not be read is not known.
  ["after: a number", spec({ after: 5 }), "spec.timeout", /Duration, which .*spec\.after must be as well/],
  ["after: words", spec({ after: "tomorrow" }), "spec.timeout", /Duration, which .*spec\.after must be as well/],
  ["on_completion: an unknown number", spec({ onCompletion: 3 }), "spec.on_completion", /ON_COMPLETION_KEEP/],
  ["webhook: too long", spec({ webhook: "x".repeat(2001) }), "spec.webhook", /at most 2000 characters/],
  ["command.goto: no name", spec({ command: { goto: [""] } }), "spec.command.goto[0]", /at least 1 character/],
];

/** What only the domain can say: the code, the reason and the sentence. */
const meaning: (readonly [
  what: string,
  change: () => Record<string, unknown>,
  code: string,
  reason: string,
  sentence: () => string | RegExp,
])[] = [
  [
    "an unknown assistant",
    spec({ assistantId: "gatde" }),
    ...(["invalid_argument", "GRAPH_NOT_FOUND"] as const),
    () => /^assistant_id: .*"gatde".*gated/,
  ],
  [
    "a broken graph",
    spec({ assistantId: "broken" }),
    ...(["failed_precondition", "GRAPH_UNAVAILABLE"] as const),
    () => /^assistant_id: .*broken\.ts/,
  ],
  [
    "an unknown thread",
    request({ threadId: unknown }),
    ...(["not_found", "THREAD_NOT_FOUND"] as const),
    () => `thread_id: there is no thread ${unknown}`,
  ],
  [
    "an unknown checkpoint",
    spec({ checkpointId: unknown }),
    ...(["not_found", "CHECKPOINT_NOT_FOUND"] as const),
    () => `checkpoint_id: thread ${kit.threadId} has no checkpoint ${unknown}`,
  ],
  [
    "another thread's checkpoint",
    () => ({ spec: { assistantId: "gated", checkpointId: foreignCheckpoint } }),
    ...(["not_found", "CHECKPOINT_NOT_FOUND"] as const),
    () => `checkpoint_id: thread ${kit.threadId} has no checkpoint ${foreignCheckpoint}`,
  ],
  [
    "a taken run id",
    () => ({ runId: finished }),
    ...(["already_exists", "RUN_EXISTS"] as const),
    () => `run_id: there is already a run ${finished}; choose another id, or get that run`,
  ],
  [
    "another thread's run id",
    () => ({ runId: foreign.toUpperCase() }),
    ...(["already_exists", "RUN_EXISTS"] as const),
    () => /^run_id: there is already a run/,
  ],
  [
    "an unknown parent",
    () => ({ parent: { threadId: kit.threadId, runId: unknown } }),
    ...(["not_found", "RUN_NOT_FOUND"] as const),
    () => `parent: thread ${kit.threadId} has no run ${unknown}`,
  ],
  [
    "a parent of another thread",
    () => ({ parent: { threadId: kit.threadId, runId: foreign } }),
    ...(["not_found", "RUN_NOT_FOUND"] as const),
    () => `parent: thread ${kit.threadId} has no run ${foreign}`,
  ],
  [
    "a parent that is over",
    () => ({ parent: { threadId: kit.threadId, runId: finished } }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => `parent: run ${finished} is over; only a run that is live creates runs`,
  ],
  [
    "input together with a command",
    spec({ input: bytes("{}"), command: { goto: ["step"] } }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.command: must not be set together with spec\.input/,
  ],
  [
    "a context that is no object",
    spec({ context: bytes("[1]") }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => "spec.context: must be a JSON object",
  ],
  [
    "a key of configurable that is the server's",
    spec({ config: { configurable: bytes('{"thread_id":"x"}') } }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.config\.configurable: the key "thread_id" belongs to the server/,
  ],
  [
    "more tags than are allowed",
    spec({ config: { tags: Array.from({ length: 1001 }, (_, i) => `t${i}`) } }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => "spec.config.tags: at most 1000 are allowed",
  ],
  ...["[1]", "7", '[["log"]]', '[[1,["x"]]]', '[["log",[],[]]]', "null"].map(
    (update) =>
      [
        `an update that is neither an object nor a list of pairs: ${update}`,
        spec({ command: { update: bytes(update) } }),
        ...(["invalid_argument", "INVALID_FIELD"] as const),
        () => "spec.command.update: must be a JSON object, or a list of pairs of a channel and its update",
      ] as const,
  ),
  ...["__proto__", "constructor", "hasOwnProperty", "__pregel_tasks", "__interrupt__"].flatMap((name) =>
    [`{"log":["x"],"${name}":1}`, `[["log",["x"]],["${name}",1]]`].map(
      (update) =>
        [
          `an update of what is no channel of any graph: ${update}`,
          spec({ command: { update: bytes(update) } }),
          ...(["invalid_argument", "INVALID_FIELD"] as const),
          () => /^spec\.command\.update: .*"\w+"/,
        ] as const,
    ),
  ),
  ...[
    {},
    { resume: bytes("null") },
    { update: bytes("{}") },
    { update: bytes("[]"), resume: bytes("null"), goto: [] },
  ].map(
    (command) =>
      [
        `a command that says nothing: ${JSON.stringify(command)}`,
        spec({ command }),
        ...(["invalid_argument", "INVALID_FIELD"] as const),
        () => /^spec\.command: says nothing/,
      ] as const,
  ),
  ...[
    ["input", { input: bytes('{"steps":[{"__proto__":{"a":1}}]}') }],
    ["input", { input: bytes('{"\\u005f_pr\\u006fto__":1}') }],
    ["input", { input: { value: JSON.parse('{"a":{"__proto__":1}}') } }],
    ["context", { context: bytes('{"__proto__":{}}') }],
    ["config.configurable", { config: { configurable: bytes('{"a":{"__proto__":{}}}') } }],
    ["metadata", { metadata: JSON.parse('{"a":{"__proto__":{}}}') }],
    ["command.resume", { command: { resume: bytes('{"__proto__":{}}') } }],
    ["command.sends[0].input", { command: { sends: [{ node: "step", input: bytes('[{"__proto__":{}}]') }] } }],
  ].map(
    ([field, change]) =>
      [
        `a field named __proto__, which would be lost on its way: ${JSON.stringify(change)}`,
        spec(change as Record<string, unknown>),
        ...(["invalid_argument", "INVALID_FIELD"] as const),
        () => `spec.${field}: the name "__proto__" is not allowed in an object`,
      ] as const,
  ),
  [
    "a completion of a run on a thread",
    spec({ onCompletion: "ON_COMPLETION_KEEP" }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.on_completion: .*together with thread_id/,
  ],
  [
    "a webhook that is no URL",
    spec({ webhook: "hook" }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.webhook: must be an absolute URL that begins with http/,
  ],
  [
    "a node that there is not",
    spec({ interruptBefore: ["stpe"] }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.interrupt_before: the graph "gated" has no node "stpe"/,
  ],
  [
    "input that is no JSON",
    spec({ input: bytes("{a:1}") }),
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /spec\.input\.json: must be JSON text in UTF-8/,
  ],
  [
    "more metadata than is allowed",
    spec({ metadata: { a: "x".repeat(993) } }),
    ...(["resource_exhausted", "INPUT_TOO_LARGE"] as const),
    () => "spec.metadata: it has 1001 bytes of JSON; at most 1000 are allowed",
  ],
  [
    "metadata that is nested too deeply",
    () => {
      let metadata: object = {};
      for (let i = 0; i < 64; i += 1) metadata = { a: metadata };
      return { spec: { assistantId: "gated", metadata } };
    },
    ...(["invalid_argument", "INVALID_FIELD"] as const),
    () => /^spec\.metadata: must not be nested deeper than 30 levels/,
  ],
];

/** As each RPC that creates a run takes it; with a request id, which a refused request leaves free. */
function wrapped(change: Record<string, unknown>): [rpc: string, body: object, prefix: string][] {
  const create = {
    threadId: kit.threadId,
    spec: { assistantId: "gated" },
    requestId: "refused",
    ...change,
  };
  return [
    ["CreateRun", create, ""],
    ["WaitRun", { create }, "create."],
    ["WaitRun", { create, onDisconnect: "ON_DISCONNECT_CANCEL" }, "create."],
    ["StreamRun", { create }, "create."],
  ];
}

/** The watch of a caller that is refused is taken back just after the answer. */
const nothingChanged = () => expect.poll(() => dump(app.db), { timeout: 10_000 }).toEqual(before);

describe("a run that is asked for wrongly is refused with the field and what is allowed, and nothing is changed", () => {
  it.each(shape)("%s", async (_, change, field, sentence) => {
    for (const [rpc, body, prefix] of wrapped(change())) {
      const { code, message, infos } = await rawCall(app.app.url, rpc, body);
      expect([rpc, code, message]).toEqual([rpc, "invalid_argument", expect.stringMatching(sentence)]);
      expect(message).toContain(`${prefix}${field}: `);
      const metadata = { field: `${prefix}${field}` };
      expect(infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD", metadata }]);
    }
    await nothingChanged();
  });

  it.each(meaning)("%s", async (_, change, code, reason, sentence) => {
    for (const [rpc, body, prefix] of wrapped(change())) {
      const answer = await rawCall(app.app.url, rpc, body);
      expect([rpc, answer.code, answer.infos]).toMatchObject([rpc, code, [{ domain: "reins", reason }]]);
      const message = answer.message.startsWith(prefix) ? answer.message.slice(prefix.length) : answer.message;
      expect(message).toMatch(sentence());
    }
    await nothingChanged();
  });

  it("a thread that is to be created is not created for a run that is refused", async () => {
    const threadId = randomUUID();
    for (const [rpc, body] of wrapped({
      threadId,
      ifNotExists: "IF_NOT_EXISTS_CREATE",
      spec: { assistantId: "gated", context: bytes("7") },
    })) {
      expect(await rawCall(app.app.url, rpc, body)).toMatchObject({ code: "invalid_argument" });
    }
    await nothingChanged();
  });
});
