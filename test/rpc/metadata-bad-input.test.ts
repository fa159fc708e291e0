import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AssistantService, OperationService, RunService, ThreadService } from "../../src/client/index.ts";
import { defaultMetadataBytes } from "../../src/domain/check-metadata.ts";
import { type Dump, dump } from "../support/dump.ts";
import { rawCall } from "../support/raw-call.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const assistantId = randomUUID();
let app: TestApp;
let kit: RunKit;
let before: Dump;

/** Each place that takes metadata: the request with it, and the field. */
const places: Record<string, readonly [request: (metadata: object) => object, field: string]> = {
  CreateRun: [(metadata) => create(metadata), "spec.metadata"],
  BatchCreateRuns: [(metadata) => ({ runs: [{ spec: spec(metadata) }] }), "runs[0].spec.metadata"],
  WaitRun: [(metadata) => ({ create: create(metadata) }), "spec.metadata"],
  StreamRun: [(metadata) => ({ create: create(metadata) }), "spec.metadata"],
  ListRuns: [(metadata) => ({ metadata }), "metadata"],
  CancelRuns: [(metadata) => ({ filter: { status: 3, metadata } }), "filter.metadata"],
  CreateThread: [(metadata) => ({ metadata }), "metadata"],
  UpdateThread: [(metadata) => ({ threadId: kit.threadId, metadata }), "metadata"],
  SearchThreads: [(metadata) => ({ filter: { metadata } }), "filter.metadata"],
  CountThreads: [(metadata) => ({ filter: { metadata } }), "filter.metadata"],
  UpdateThreadState: [
    (metadata) => ({ threadId: kit.threadId, values: { value: {} }, asNode: "step", metadata }),
    "metadata",
  ],
  ListThreadHistory: [(metadata) => ({ threadId: kit.threadId, metadata }), "metadata"],
  CreateAssistant: [(metadata) => ({ graphId: "gated", metadata }), "metadata"],
  UpdateAssistant: [(metadata) => ({ assistantId, metadata }), "metadata"],
  SearchAssistants: [(metadata) => ({ filter: { metadata } }), "filter.metadata"],
  CountAssistants: [(metadata) => ({ filter: { metadata } }), "filter.metadata"],
};
const spec = (metadata: object) => ({ assistantId: "gated", metadata });
const create = (metadata: object) => ({ threadId: kit.threadId, spec: spec(metadata) });
const deep = (levels: number): object => (levels === 1 ? {} : { a: deep(levels - 1) });

const invalid = ["invalid_argument", "INVALID_FIELD"] as const;
const bad: (readonly [what: string, metadata: object, code: string, reason: string, says: string])[] = [
  [
    "too many fields",
    Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, i])),
    ...([...invalid, "has 1001 fields; at most 1000 are allowed"] as const),
  ],
  ["too many levels", deep(31), ...invalid, "must not be nested deeper than 30 levels"],
  ["a name with a NUL", { deep: { "a\0": 1 } }, ...invalid, "must not hold a NUL character"],
  [
    "too many bytes",
    { a: "x".repeat(defaultMetadataBytes) },
    ...(["resource_exhausted", "INPUT_TOO_LARGE", `at most ${defaultMetadataBytes} are allowed`] as const),
  ],
];

beforeAll(async () => {
  app = await startTestApp();
  kit = await createRunKit(app);
  kit.gates.open();
  await kit.join((await kit.start({ steps: ["a"] })).runId);
  // What a CancelRuns that takes its filter would hit.
  await kit.start({}, { after: { seconds: 3600n } });
  await app.client.assistants.createAssistant({ assistantId, graphId: "gated" });
  before = await dump(app.db);
});
afterAll(async () => {
  kit.gates.remove();
  await app.close();
});

describe("metadata that cannot be kept or found", () => {
  it("is tried wherever metadata is taken", () => {
    const taking = [RunService, ThreadService, AssistantService, OperationService]
      .flatMap(({ methods }) => methods)
      .filter(({ input }) => takes(input))
      .map(({ name }) => name);
    expect(Object.keys(places).toSorted()).toEqual(taking.toSorted());
  });

  it.each(Object.keys(places).flatMap((rpc) => bad.map((row) => [rpc, ...row] as const)))(
    "%s with %s",
    async (rpc, _, metadata, code, reason, says) => {
      const [request, field] = places[rpc]!;
      const answer = await rawCall(app.app.url, rpc, request(metadata));
      expect([answer.code, answer.message]).toEqual([code, expect.stringContaining(says)]);
      expect(answer.message.startsWith(`${field}: `)).toBe(true);
      expect(answer.infos).toMatchObject([{ domain: "reins", reason, metadata: { field } }]);
      // The watch of a caller that is refused is taken back just after the answer.
      await expect.poll(() => dump(app.db), { timeout: 10_000 }).toEqual(before);
    },
  );
});

type Message = (typeof RunService.methods)[number]["input"] | (typeof ThreadService.methods)[number]["input"];

/** A field of that name, here or in one of its messages. */
function takes({ fields }: Pick<Message, "fields">): boolean {
  return fields.some(({ name, message }) => {
    return name === "metadata" || (message?.typeName.startsWith("reins.v1.") === true && takes(message));
  });
}
