import { randomUUID } from "node:crypto";
import { fromJson } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AssistantService, OperationService, RunService, ThreadService } from "../../src/client/index.ts";
import { badFields } from "../support/bad-fields.ts";
import { type Dump, dump } from "../support/dump.ts";
import { minimal } from "../support/good-requests.ts";
import { rawCall } from "../support/raw-call.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/**
 * Each field of each request, with every value that its type and its rules forbid, taken from the descriptors: a field that is
 * added is tried as well. What only the domain can tell is in the tables of the other files here.
 */
const [threadId, runId, assistantId] = [randomUUID(), randomUUID(), randomUUID()];
const byUuid = ["UpdateAssistant", "DeleteAssistant", "CreateAssistant"];
const methods = [RunService, ThreadService, AssistantService, OperationService].flatMap((service) => service.methods);
const knownTo = (rpc: string) => ({
  thread_id: threadId,
  run_id: runId,
  thread_ids: [threadId],
  run_ids: [runId],
  assistant_id: byUuid.includes(rpc) ? assistantId : "gated",
  graph_id: "gated",
});
const rpcs = methods.map((method) => ({
  rpc: method.name,
  input: method.input,
  bad: badFields(method.input, knownTo(method.name)),
}));
const count = rpcs.reduce((sum, { bad }) => sum + bad.length, 0);

describe(`the shape of every request: ${count} bad ones of ${rpcs.length} RPCs`, () => {
  let app: TestApp;
  let kit: RunKit;
  let before: Dump;
  beforeAll(async () => {
    app = await startTestApp();
    kit = await createRunKit(app);
    await app.client.threads.createThread({ threadId });
    await app.client.assistants.createAssistant({ assistantId, graphId: "gated" });
    // A run that is live, and does nothing of its own.
    const spec = kit.spec({}, { after: { seconds: 3600n } });
    await app.client.runs.createRun({ threadId, runId, spec });
    before = await dump(app.db);
  });
  afterAll(async () => {
    kit.gates.remove();
    await app.close();
  });

  describe.each(rpcs)("$rpc", ({ rpc, input, bad }) => {
    it("is in order without the fault", () => {
      const request = fromJson(input, minimal(input, knownTo(rpc)));
      expect(createValidator().validate(input, request)).toMatchObject({ kind: "valid" });
    });

    it.each([...Map.groupBy(bad, ({ path }) => path)])("%s", async (_, some) => {
      for (const { what, request, fields, says } of some) {
        const { code, message, infos } = await rawCall(app.app.url, rpc, request);
        expect([what, code, message]).toEqual([what, "invalid_argument", expect.stringMatching(says)]);
        expect(infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD" }]);
        const { field } = infos[0]!.metadata;
        // A long key is told in short.
        const [, start] = /^(.*)… \(\d+ characters in all\)"\]$/s.exec(field!) ?? [];
        const isNamed = (one: string) => (start === undefined ? one === field : one.startsWith(start));
        expect([what, fields, field]).toEqual([what, expect.toSatisfy((all: string[]) => all.some(isNamed)), field]);
        expect(message.startsWith(`${field}: `)).toBe(true);
      }
    });

    // The watch of a caller that is refused is taken back just after the answer.
    it("changes nothing", () => expect.poll(() => dump(app.db), { timeout: 10_000 }).toEqual(before));
  });
});
