import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, fromPayload, toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { createRestClient } from "../support/rest-kit.ts";
import { createStateKit, logOf, type StateKit, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

const resume = (answer: unknown) => ({ command: { resume: toPayload(answer as never) } });
const idsOf = async (kit: StateKit) => (await kit.thread()).interrupts.map(({ id }) => id);
/** A run that was refused when it began leaves nothing but its error. */
function expectRefused({ status, startedAt, error }: Run): void {
  expect([status, startedAt, error?.name]).toEqual([RunStatus.ERROR, undefined, "UnknownInterruptError"]);
  expect(error!.message).toMatch(/^spec\.command\.resume: /);
}
const stray = "0123456789abcdef0123456789abcdef";

/** A thread that waits with two questions. */
async function createPair(): Promise<StateKit> {
  const kit = await createStateKit(app, "pair");
  kit.gates.open();
  await kit.run({});
  return kit;
}

/** One that waits with the second of two questions, and the id of the first. */
async function createTwice() {
  const kit = await createStateKit(app, "twice");
  await kit.run({});
  const [first] = await idsOf(kit);
  await kit.run(null, resume("A"));
  return { kit, first: first! };
}

describe("an answer to a question that is not open", () => {
  const cases: [string, () => Promise<readonly [StateKit, unknown, RegExp]>][] = [
    ["a question that there is not", async () => [await createPair(), { [stray]: 1 }, /0123456789abcdef/]],
    [
      "one of two that there is not",
      async () => {
        const kit = await createPair();
        return [kit, { [(await idsOf(kit))[0]!]: 1, [stray]: 2 }, new RegExp(stray)];
      },
    ],
    ["no question by name", async () => [await createPair(), {}, /names no question/]],
    ["one of two questions, without saying which", async () => [await createPair(), "yes", /2 questions are open/]],
    [
      "a question that was answered",
      async () => {
        const { kit, first } = await createTwice();
        return [kit, { [first]: "again" }, new RegExp(first)];
      },
    ],
    [
      "a thread that has come to its end",
      async () => {
        const { kit } = await createTwice();
        await kit.run(null, resume("B"));
        return [kit, "more", /no question is open/];
      },
    ],
    [
      "a thread that pauses without a question",
      async () => {
        const kit = await createStateKit(app, "ask");
        await kit.run({}, { interruptBefore: ["first"] });
        return [kit, "go", /no question is open/];
      },
    ],
    ["a thread on which nothing has happened", async () => [await createStateKit(app, "ask"), "go", /no question/]],
  ];

  it.each(cases)("is refused on a quiet thread, and changes nothing: %s", async (_, make) => {
    const [kit, answer, sentence] = await make();
    const { client, threadId } = kit;
    const before = { stored: await dump(app.db), thread: await kit.thread(), state: await kit.stateAt() };
    const create = { threadId, spec: kit.spec(null, resume(answer)) };
    const calls = [
      () => client.runs.createRun(create),
      () => client.runs.createRun({ ...create, spec: { ...create.spec, strictResume: true } }),
      () => client.runs.waitRun({ create }),
      async () => {
        for await (const _ of client.runs.streamRun({ create }));
      },
    ];
    for (const call of calls) {
      const error = await call().then(
        () => undefined,
        (thrown: unknown) => thrown as Error,
      );
      expect(errorReason(error)).toBe("INTERRUPT_NOT_OPEN");
      expect(error!.message).toMatch(/spec\.command\.resume: /);
      expect(error!.message).toMatch(sentence);
    }
    const rest = createRestClient(app.app.url);
    const body = { assistant_id: create.spec.assistantId, command: { resume: answer }, strict_resume: true };
    for (const path of ["", "/wait", "/stream"]) {
      expect(await rest.post(`/threads/${threadId}/runs${path}`, body)).toMatchObject({
        status: 409,
        body: { detail: expect.stringMatching(sentence) },
      });
    }
    await expect.poll(() => dump(app.db), { timeout: 10_000 }).toEqual(before.stored);
    expect([await kit.thread(), await kit.stateAt()]).toEqual([before.thread, before.state]);
    kit.gates.remove();
  });

  it("is passed over where that is asked for, and over REST unless it is forbidden", async () => {
    const kit = await createPair();
    const open = await idsOf(kit);
    await kit.run(null, { ...resume({ [stray]: 1 }), strictResume: false });
    const rest = createRestClient(app.app.url);
    for (const strict of [{}, { strict_resume: null }, { strict_resume: false }]) {
      const body = { assistant_id: "pair", command: { resume: { [stray]: 1 } }, ...strict };
      const answered = await rest.post(`/threads/${kit.threadId}/runs/wait`, body);
      expect([answered.status, answered.body.__interrupt__?.length]).toEqual([200, 2]);
    }
    expect(await idsOf(kit)).toEqual(open);
    expect((await rest.get("/info")).body.flags.strict_resume).toBe(true);
    const wrong = { assistant_id: "pair", command: { resume: "B" }, strict_resume: "yes" };
    expect((await rest.post(`/threads/${kit.threadId}/runs`, wrong)).status).toBe(422);
    kit.gates.remove();
  });

  it("makes no thread that would be made for it", async () => {
    const kit = await createStateKit(app, "ask");
    const threadId = randomUUID();
    const create = { threadId, ifNotExists: IfNotExists.CREATE, spec: kit.spec(null, resume("go")) };
    await expect(kit.client.runs.createRun(create)).rejects.toThrow(/no question is open/);
    await expect(kit.client.threads.getThread({ threadId })).rejects.toThrow(/there is no thread/);
    kit.gates.remove();
  });

  it("is refused in LangChain's streaming protocol, as one that nobody waits for", async () => {
    const kit = await createPair();
    const rest = createRestClient(app.app.url);
    const [id] = await idsOf(kit);
    const send = async (params: object) =>
      (await rest.post(`/threads/${kit.threadId}/commands`, { id: 1, method: "run.start", params })).body;
    const params = { assistant_id: "pair", input: "yes" };
    expect(await send({ ...params, strict_resume: true })).toMatchObject({ type: "error", error: "no_such_interrupt" });
    const responses = [{ interrupt_id: id, response: "L" }];
    const answered = { id: 2, method: "input.respond", params: { responses, strict_resume: true } };
    expect((await rest.post(`/threads/${kit.threadId}/commands`, answered)).body).toMatchObject({ type: "success" });
    await expect.poll(async () => (await idsOf(kit)).length, { timeout: 10_000 }).toBe(1);
    kit.gates.remove();
  });
});

describe("an answer that waits", () => {
  it("is to a question that is open when its run begins, or leaves the thread as it was", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    const working = await kit.start(null, resume("one"));
    await kit.gates.started("work");
    // What is asked by then is not known yet.
    const wrong = await kit.start(null, resume({ [stray]: "two" }));
    const right = await kit.start(null, resume("two"));
    const late = await kit.start(null, resume("three"));
    kit.gates.open();
    const ended: Run[] = [];
    for (const { runId } of [working, wrong, right, late]) ended.push(await kit.join(runId));
    const [first, second, third, fourth] = ended;
    expect([first!.status, third!.status]).toEqual([RunStatus.SUCCESS, RunStatus.SUCCESS]);
    for (const run of [second, fourth]) expectRefused(run!);
    const { status, interrupts, error } = await kit.thread();
    expect([status, interrupts, error]).toEqual([ThreadStatus.IDLE, [], undefined]);
    expect(valuesOf(await kit.stateAt()).answers).toEqual(["first=one", "second=two"]);
    const history = await kit.client.threads.listThreadHistory({ threadId: kit.threadId, limit: 1000 });
    const made = new Set(history.states.map(({ metadata }) => metadata!.run_id));
    expect([made.has(wrong.runId), made.has(late.runId)]).toEqual([false, false]);
    kit.gates.remove();
  });

  it("leaves a thread waiting that waits", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    const delayed = await kit.start(null, { ...resume({ [stray]: "two" }), after: { seconds: 0n, nanos: 1_000_000 } });
    expectRefused(await kit.join(delayed.runId));
    expect(await kit.thread()).toMatchObject({ status: ThreadStatus.INTERRUPTED, interrupts: [{}] });
    const wait = await kit.client.runs.waitRun({
      create: { threadId: kit.threadId, spec: kit.spec(null, { ...resume("now"), interruptBefore: ["work"] }) },
    });
    expect(fromPayload(wait.values)).toMatchObject({ answers: ["first=now"] });
    kit.gates.remove();
  });

  it("is one of several at once: one counts, and the others are refused", async () => {
    const { kit } = await createTwice();
    const ways = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        kit
          .start(null, resume(`B${n}`))
          .then(({ runId }) => kit.join(runId))
          .catch((error: unknown) => errorReason(error)),
      ),
    );
    const won = ways.filter((way) => typeof way === "object" && way.status === RunStatus.SUCCESS);
    expect(won).toHaveLength(1);
    for (const way of ways.filter((one) => !won.includes(one))) {
      if (typeof way === "object") expectRefused(way);
      else expect(way).toBe("INTERRUPT_NOT_OPEN");
    }
    expect(logOf(await kit.stateAt())).toEqual([expect.stringMatching(/^A\+B\d$/)]);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("is taken at a checkpoint that asks, also one that was answered, and refused at one that does not", async () => {
    const { kit } = await createTwice();
    await kit.run(null, resume("B"));
    const states = await kit.history();
    const asking = states.find(({ tasks }) => tasks.some(({ interrupts }) => interrupts.length > 0))!;
    const quiet = await kit.start(null, { ...resume("X"), checkpointId: states.at(-1)!.checkpoint!.checkpointId });
    expectRefused(await kit.join(quiet.runId));
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    await kit.run(null, { ...resume("again"), checkpointId: asking.checkpoint!.checkpointId });
    kit.gates.remove();
  });

  it("counts once given, when the process that took it is lost and the run is tried again", async () => {
    const kit = await createStateKit(app, "once");
    await kit.run({ after: "wait" });
    const { runId } = await kit.start(null, resume("A"));
    process.kill(await kit.gates.started("ask"), "SIGKILL");
    kit.gates.open();
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(logOf(await kit.stateAt())).toEqual(["A"]);
    kit.gates.remove();
  });
});
