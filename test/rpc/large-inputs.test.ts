import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, MultitaskStrategy, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, toPayload } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { traces } from "../support/traces.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { children: 2 } });
});
afterAll(() => app.close());

/** Too much for a record; each of its own, so that it can be looked for. */
let count = 0;
const marked = () => `mark-${++count}-`.repeat(4_000);
const markOf = (text: string) => text.slice(0, text.indexOf("-", 5) + 1);

/** The large field of what a run is answered to have been given. */
const noteOf = ({ spec }: Run): unknown => spec?.input && (fromPayload(spec.input) as { note?: string }).note;

async function start(kit: RunKit, step: string, note: string, more: object = {}): Promise<string> {
  return (await kit.start({ steps: [step], note }, more)).runId;
}

describe("a run that was given much", () => {
  it("executes with it, also when it has waited, and shows it to whoever asks", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const notes = [marked(), marked(), marked()];
    const [first, second] = [await start(kit, "a", notes[0]!), await start(kit, "b", notes[1]!)];
    const context = toPayload({ large: notes[2]! });
    const third = await start(kit, "c", "", { context });
    await kit.gates.started("a");
    const stored = await app.db.collection("runs").find({ thread_id: threadId }).toArray();
    expect(JSON.stringify(stored).length).toBeLessThan(20_000);
    for (const [runId, note] of [
      [first, notes[0]!],
      [second, notes[1]!],
    ] as const) {
      const name = { threadId, runId };
      expect(noteOf((await app.client.runs.getRun({ ...name, includeInput: true })).run!)).toBe(note);
      expect(noteOf((await app.client.runs.getRun(name)).run!)).toBeUndefined();
    }
    const listed = await app.client.runs.listRuns({ threadId, includeInput: true });
    expect(listed.runs.map(noteOf)).toEqual(["", notes[1], notes[0]]);
    expect(fromPayload(listed.runs[0]!.spec!.context!)).toEqual({ large: notes[2] });
    kit.gates.open();
    for (const runId of [first, second, third]) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.steps()).toEqual(["a", "b", "c"]);
    const { run } = await app.client.runs.joinRun({ threadId, runId: second, includeInput: true, omitValues: true });
    expect(noteOf(run!)).toBe(notes[1]);
    kit.gates.remove();
  });

  it("leaves nothing of it when it is rolled back, deleted, refused or removed with its thread", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const notes = [marked(), marked(), marked(), marked()];
    const left = async (note: string) => traces(app.db, markOf(note).repeat(2));
    const rolledBack = await start(kit, "a", notes[0]!);
    await kit.gates.started("a");
    expect((await left(notes[0]!)).some((place) => place.startsWith("run_specs/"))).toBe(true);
    const refused = start(kit, "x", notes[1]!, { multitaskStrategy: MultitaskStrategy.REJECT });
    await expect(refused).rejects.toThrow();
    expect(await left(notes[1]!)).toEqual([]);
    await app.client.runs.cancelRun({ threadId, runId: rolledBack, action: CancelAction.ROLLBACK, wait: true });
    expect(await left(notes[0]!)).toEqual([]);
    kit.gates.open();
    const deleted = await start(kit, "b", notes[2]!);
    await kit.join(deleted);
    await app.client.runs.deleteRun({ threadId, runId: deleted });
    expect(await left(notes[2]!)).toEqual([]);
    await kit.join(await start(kit, "c", notes[3]!));
    expect(await left(notes[3]!)).not.toEqual([]);
    await app.client.threads.deleteThread({ threadId });
    expect(await left(notes[3]!)).toEqual([]);
    expect(await app.db.collection("run_specs").countDocuments({ thread_id: threadId })).toBe(0);
    kit.gates.remove();
  });

  it("without a thread, or in a batch, is the same", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const notes = [marked(), marked()];
    const runs = notes.map((note) => ({ spec: kit.spec({ steps: ["a"], note }) }));
    const batch = await app.client.runs.batchCreateRuns({ runs, includeInput: true });
    expect(batch.runs.map(noteOf)).toEqual(notes);
    const over = await app.client.runs.waitRun({ create: runs[0], includeInput: true, omitValues: true });
    expect([over.run!.status, noteOf(over.run!)]).toEqual([RunStatus.SUCCESS, notes[0]]);
    kit.gates.remove();
  });

  it("ends with an error that says so where it is not stored any more", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    await start(kit, "a", "");
    const second = await start(kit, "b", marked());
    await kit.gates.started("a");
    await app.db.collection("run_specs").deleteMany({ thread_id: threadId });
    kit.gates.open();
    const over = await kit.join(second);
    expect(over).toMatchObject({ status: RunStatus.ERROR, error: { name: "AttemptsLostError" } });
    expect(over.error!.message).toContain("what the run was given is not stored any more");
    expect(kit.gates.steps()).toEqual(["a"]);
    kit.gates.remove();
  });
});
