import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const ids = (runs: readonly Run[]) => runs.map(({ runId }) => runId);
const list = async (request: Parameters<typeof app.client.runs.listRuns>[0]) =>
  ids((await app.client.runs.listRuns(request)).runs);

/** A busy thread with this many runs, newest first. */
async function busyThread(count: number, metadata: (i: number) => object = () => ({})) {
  const kit = await createRunKit(app);
  const created: string[] = [];
  for (let i = 0; i < count; i += 1) {
    created.unshift((await kit.start({}, { metadata: metadata(i) as Record<string, never> })).runId);
  }
  return { kit, created };
}

async function finish(kit: RunKit) {
  await app.client.threads.deleteThread({ threadId: kit.threadId });
  kit.gates.remove();
}

/** All pages; `between` happens before each but the first. */
async function pages(request: { threadId?: string; pageSize: number }, between: () => Promise<unknown>) {
  const read: string[][] = [];
  for (let pageToken = ""; ; ) {
    const page = await app.client.runs.listRuns({ ...request, pageToken });
    read.push(ids(page.runs));
    pageToken = page.nextPageToken;
    if (pageToken === "") return read;
    await between();
  }
}

describe("ListRuns", () => {
  it("lists a thread's runs or all runs, newest first", async () => {
    const [one, two] = [await busyThread(3), await busyThread(2)];
    expect(await list({ threadId: one.kit.threadId })).toEqual(one.created);
    expect(await list({ threadId: two.kit.threadId.toUpperCase() })).toEqual(two.created);
    expect(await list({})).toEqual([...two.created, ...one.created]);
    const empty = await createRunKit(app);
    expect(await list({ threadId: empty.threadId })).toEqual([]);
    for (const { kit } of [one, two]) await finish(kit);
    empty.gates.remove();
  });

  it.each([1, 2, 3, 7, 8])("pages of %i are stable while runs are created", async (pageSize) => {
    const { kit, created } = await busyThread(7);
    for (const threadId of [kit.threadId, ""]) {
      const before = await list({ threadId });
      const read = await pages({ threadId, pageSize }, () => kit.start());
      expect(read.flat()).toEqual(before);
      expect(read.slice(0, -1).every((page) => page.length === pageSize)).toBe(true);
      expect(read.at(-1)!.length).toBeGreaterThan(0);
    }
    expect((await list({ threadId: kit.threadId, pageSize: 1000 })).slice(-7)).toEqual(created);
    await finish(kit);
  });

  it("answers 20 runs by default", async () => {
    const { kit, created } = await busyThread(21);
    const { runs, nextPageToken } = await app.client.runs.listRuns({ threadId: kit.threadId });
    expect(ids(runs)).toEqual(created.slice(0, 20));
    expect(nextPageToken).not.toBe("");
    await finish(kit);
  });

  it("filters by status", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const over = await kit.start({ steps: ["quick"] });
    kit.gates.open("quick");
    await kit.join(over.runId);
    const running = await kit.start({ steps: ["a"] });
    const [pending, cancelled] = [await kit.start(), await kit.start()];
    await app.client.runs.cancelRun({ threadId, runId: cancelled.runId, wait: true });
    const cases: [RunStatus[], Run[]][] = [
      [[RunStatus.SUCCESS], [over]],
      [[RunStatus.RUNNING], [running]],
      [[RunStatus.PENDING], [pending]],
      [[RunStatus.INTERRUPTED], [cancelled]],
      [
        [RunStatus.PENDING, RunStatus.RUNNING],
        [pending, running],
      ],
      [[RunStatus.ERROR, RunStatus.TIMEOUT], []],
      [[], [cancelled, pending, running, over]],
    ];
    for (const [statuses, runs] of cases) expect(await list({ threadId, statuses })).toEqual(ids(runs));
    await finish(kit);
  });

  it("filters by metadata: each field must be there with this very value, an object with at least its fields", async () => {
    const kinds = [
      ...[{ user: "a", n: 1 }, { user: "a", n: 2 }, { user: null }, {}, { user: { $gt: "" } }],
      ...[
        { deep: { "a.b": { $c: 1 }, list: [1, { x: 1, y: 2 }] }, "a.b": 0 },
        { deep: { more: true } },
        { a: { b: 0 } },
      ],
    ];
    const { kit, created } = await busyThread(kinds.length, (i) => kinds[i]!);
    const { threadId } = kit;
    const found = async (metadata: Record<string, never>) =>
      (await list({ threadId, metadata })).map((runId) => kinds.length - 1 - created.indexOf(runId)).reverse();
    const cases: [object, number[]][] = [
      [{ user: "a" }, [0, 1]],
      [{ user: "a", n: 2 }, [1]],
      [{ user: "b" }, []],
      [{ user: null }, [2]],
      // No operators: only the run whose metadata looks just so.
      [{ user: { $gt: "" } }, [4]],
      [{ user: { $ne: "x" } }, []],
      [{ n: "1" }, []],
      [{ deep: { "a.b": { $c: 1 } } }, [5]],
      [{ deep: { list: [1, { y: 2, x: 1 }] }, "a.b": 0 }, [5]],
      [{ deep: { list: [1] } }, []],
      [{ deep: {} }, [5, 6]],
      [{ a: { b: 0 } }, [7]],
      [{ "a.b": 0 }, [5]],
      [{}, [0, 1, 2, 3, 4, 5, 6, 7]],
    ];
    for (const [metadata, expected] of cases) {
      expect([metadata, await found(metadata as Record<string, never>)]).toEqual([metadata, expected]);
    }
    await finish(kit);
  });
});
