import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Durability, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, fromPayload, PayloadFormat, toPayload } from "../../src/client/index.ts";
import { createStateKit, logOf, type StateKit, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

const megabytes = 1024 * 1024;
const resume = (answer: unknown) => ({ command: { resume: toPayload(answer as never) } });
const textOf = ({ value }: { value?: Parameters<typeof fromPayload>[0] }) => fromPayload(value) as string;

describe("what is larger than a document", () => {
  it.each([
    ["a success or an error alone", [StreamMode.CUSTOM]],
    ["values", [StreamMode.VALUES]],
    ["all that tells of tasks", [StreamMode.TASKS, StreamMode.DEBUG, StreamMode.UPDATES]],
  ])("an error ends its run, once, told in short (%s)", async (_, streamModes) => {
    const kit = await createStateKit(app, "thrower");
    const over = await kit.run({ size: 17 * megabytes }, { streamModes }, RunStatus.ERROR);
    expect([over.attempt, over.error?.name]).toEqual([1, "Huge"]);
    expect(over.error!.message).toMatch(/^x{1000,}… \(17825792 characters in all\)$/);
    expect(over.error!.message.length).toBeLessThan(megabytes);
    const thread = await kit.thread();
    // Its thread says it in a line or two.
    expect(thread.status).toBe(ThreadStatus.ERROR);
    expect(thread.error!.message).toMatch(/^x{500,}… \(17825792 characters in all\)$/);
    expect(Buffer.byteLength(thread.error!.message)).toBeLessThanOrEqual(1000);
    await kit.run({ size: 1 }, {}, RunStatus.ERROR);
    kit.gates.remove();
  });

  it.each([
    ["one question of 17 MB", "asker", 17 * megabytes, 1, [StreamMode.VALUES]],
    ["one in every mode that tells of it", "asker", 17 * megabytes, 1, [StreamMode.DEBUG, StreamMode.UPDATES]],
    ["twenty of 900 kB", "crowd", 900 * 1024, 20, [StreamMode.VALUES]],
  ])("%s can be read and answered", async (_, graph, size, count, streamModes) => {
    const kit = await createStateKit(app, graph);
    const { threadId } = kit;
    const over = await kit.run({ size }, { streamModes });
    expect(over.attempt).toBe(1);
    const lengths = (interrupts: readonly { value?: Parameters<typeof fromPayload>[0] }[]) =>
      interrupts.map((one) => textOf(one).length);
    const thread = await kit.thread();
    expect([thread.status, lengths(thread.interrupts)]).toEqual([ThreadStatus.INTERRUPTED, Array(count).fill(size)]);
    const state = await kit.stateAt();
    expect(lengths(state.interrupts)).toEqual(Array(count).fill(size));
    const { threads } = await app.client.threads.searchThreads({
      filter: { threadIds: [threadId], statuses: [ThreadStatus.INTERRUPTED] },
    });
    expect(threads.map(({ interrupts }) => interrupts.map(({ id }) => id))).toEqual([
      thread.interrupts.map(({ id }) => id),
    ]);
    await kit.run(null, resume(Object.fromEntries(thread.interrupts.map(({ id }) => [id, "yes"]))));
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    expect(logOf(await kit.stateAt())).toEqual(Array(count).fill("yes"));
    kit.gates.remove();
  });

  it("configurable of 7 MB does not stop checkpoints", async () => {
    const kit = await createStateKit(app, "keeper");
    const configurable = toPayload({ own: "c".repeat(7 * megabytes), small: 1 });
    await kit.run({ data: "q" }, { config: { configurable } });
    expect((await kit.stateAt()).metadata).toMatchObject({ small: 1 });
    kit.gates.remove();
  });
});

describe("what the serializer would not bring back", () => {
  const unknown = { lc: 1, type: "constructor", id: ["no", "such", "Class"], kwargs: { n: 1 } };
  const data = JSON.parse(
    `{"list": [${JSON.stringify(unknown)}, {"lc": 2, "type": "undefined"}], "secret": {"lc": 1, "type": "secret", "id": ["PATH"]}, "lone": "\\ud800", "$a.b": {"__proto__x": 1}}`,
  ) as object;
  const bytes = (value: unknown) => ({
    encoding: { case: "json" as const, value: new TextEncoder().encode(JSON.stringify(value)) },
  });

  async function readAll({ client, threadId }: StateKit) {
    const format = { payloadFormat: PayloadFormat.JSON };
    const { state } = await client.threads.getThreadState({ threadId, ...format });
    const { states } = await client.threads.listThreadHistory({ threadId, ...format });
    expect(states.length).toBeGreaterThan(0);
    // Readable in the other form as well, though not every text can be told in it.
    await client.threads.getThreadState({ threadId });
    return state!;
  }

  it.each([Durability.SYNC, Durability.ASYNC, Durability.EXIT])(
    "comes back in values, questions, answers, edits and copies (%s)",
    async (durability) => {
      const kit = await createStateKit(app, "keeper");
      const { client, threadId } = kit;
      const config = { configurable: bytes({ own: unknown }) };
      await kit.run(null, {
        input: bytes({ dir: kit.gates.dir, data }),
        durability,
        config,
        metadata: { note: unknown },
      });
      const asked = await readAll(kit);
      expect(JSON.parse(JSON.stringify(fromPayload(asked.interrupts[0]!.value)))).toEqual(data);
      expect(asked.metadata).toMatchObject({ note: unknown, own: unknown });
      await kit.run(null, { command: { resume: bytes(data), update: bytes({ data: unknown }) }, durability });
      expect(valuesOf(await readAll(kit))).toMatchObject({ big: data, data: unknown });
      await client.threads.updateThreadState({ threadId, values: bytes({ big: [unknown] }), asNode: "step" });
      expect(valuesOf(await readAll(kit))).toMatchObject({ big: [unknown], data: unknown });
      const copy = (await client.threads.copyThread({ threadId })).thread!.threadId;
      const copied = await client.threads.getThreadState({ threadId: copy });
      expect(valuesOf(copied.state)).toMatchObject({ big: [unknown], data: unknown });
      await kit.run({ data: "again" });
      expect((await kit.questions()).length).toBe(1);
      kit.gates.remove();
    },
  );

  it.each([Durability.SYNC, Durability.ASYNC, Durability.EXIT])(
    "comes back when a node has frozen it, and so does what JSON has no form for (%s)",
    async (durability) => {
      const kit = await createStateKit(app, "freezer");
      await kit.run(null, { input: bytes({ dir: kit.gates.dir, data }), durability });
      const asked = await readAll(kit);
      expect(fromPayload(asked.interrupts[0]!.value)).toEqual({ data });
      expect(valuesOf(asked)).toMatchObject({ data, big: { data, self: "[Circular]" } });
      await kit.run(null, { ...resume("yes"), durability });
      const over = await readAll(kit);
      expect(logOf(over)).toEqual(["true NaN,Infinity x"]);
      expect(valuesOf(over)).toMatchObject({ big: { data } });
      kit.gates.remove();
    },
  );

  it("a value without a form in JSON ends its run with a sentence, and the thread goes on", async () => {
    const kit = await createStateKit(app, "bigInt");
    const over = await kit.run({}, {}, RunStatus.ERROR);
    expect([over.attempt, over.error?.name]).toEqual([1, "UnstorableValueError"]);
    expect(over.error!.message).toMatch(/"big\.count" is a BigInt/);
    expect(valuesOf(await readAll(kit))).not.toHaveProperty("big");
    kit.gates.remove();
  });
});

describe("a state that takes too long to be read", () => {
  it("is unavailable, and holds up no other graph's", async () => {
    const [kit, other] = [await createStateKit(app, "slow"), await createStateKit(app, "asker")];
    await kit.run({});
    await other.run({ size: 3 });
    const closed = join(kit.gates.dir, "closed");
    writeFileSync(closed, "");
    const settled: string[] = [];
    const slow = kit.stateAt().catch((error: unknown) => error);
    const rest = fetch(new URL(`/threads/${kit.threadId}/state`, app.app.url));
    void slow.then(() => settled.push("slow"));
    // One that is already in the process with it, and more that come later.
    for (let n = 0; n < 3; n += 1) {
      expect((await other.stateAt()).next).toEqual(["step"]);
      settled.push("other");
    }
    expect(settled).toEqual(["other", "other", "other"]);
    const error = (await slow) as ConnectError;
    expect(error).toBeInstanceOf(ConnectError);
    expect(errorReason(error)).toBe("GRAPH_TIMEOUT");
    expect(error.rawMessage).toMatch(/cannot be read with the graph "slow": it did not answer within 10 s/);
    const answer = await rest;
    expect([answer.status, Number(answer.headers.get("retry-after"))]).toEqual([503, 1]);
    rmSync(closed);
    expect((await kit.stateAt()).next).toEqual(["ask"]);
    for (const each of [kit, other]) each.gates.remove();
  });
});
