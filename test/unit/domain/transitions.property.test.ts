import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "../../../src/domain/run.ts";
import { isTerminal } from "../../../src/domain/transitions.ts";
import { openStores, type Stores } from "../../../src/storage/stores.ts";
import { type TestDatabase, testDatabase } from "../../support/engine.ts";
import { expected, perform, type RunState, type Step, stateOf } from "../../support/run-model.ts";

/** Workers come with one of these lease tokens, so that the right one is met often, and so is a stale one. */
const token = fc.constantFrom("first", "second", "third");
/** How many reads ago the actor looked at the run: 0 is the truth. */
const read = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 5 }) },
);
const action = fc.constantFrom("interrupt" as const, "rollback" as const);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("claim" as const), token, read }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("finish" as const),
      token,
      status: fc.constantFrom("success" as const, "error" as const, "timeout" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("handBack" as const), token, lost: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), action, read }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("settleCancelled" as const), token, read }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("takeOver" as const), token, read }) },
);

describe("the guards of the storage, against the transition table", () => {
  let database: TestDatabase;
  let stores: Stores;
  beforeAll(async () => {
    database = await testDatabase();
    stores = await openStores(database.db);
  });
  afterAll(() => database.close());

  /** A new run of a thread of its own. */
  async function newRun(): Promise<Run> {
    const run: Run = {
      ...{ owner: "", runId: randomUUID(), threadId: randomUUID(), graph: "graph", n: 1 },
      assistant: { assistantId: randomUUID(), version: 1 },
      spec: {
        ...{ assistantId: "graph", metadata: {}, streamModes: [], streamSubgraphs: false },
        ...{
          interruptBefore: [],
          interruptAfter: [],
          multitaskStrategy: "enqueue",
          durability: "sync",
          onCompletion: "delete",
        },
      },
      ...{ status: "pending", phase: "waiting", attempt: 0, lostAttempts: 0, suspect: false },
      ...{ createdAt: new Date(), cleanupPending: false },
    };
    await stores.runs.insert(run, { ready: true });
    return (await stores.runs.find(run))!;
  }

  const document = (run: Run) => database.db.collection("runs").findOne({ _id: { $regex: run.runId } as never });

  it("let land what the table allows and nothing else, whatever the actors have read", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
        const seen = [await newRun()];
        for (const one of steps) {
          const now = seen.at(-1)!;
          const actor = seen.at(-1 - Math.min("read" in one ? one.read : 0, seen.length - 1))!;
          const before = await document(now);
          const landed = await perform(stores, one, actor);
          const after = (await stores.runs.find(now))!;
          const wanted = expected(one, stateOf(actor), stateOf(now));
          expect(landed).toBe(wanted !== undefined);
          expect(stateOf(after)).toEqual(wanted ?? stateOf(now));
          if (!landed || isTerminal(now.status)) expect(await document(now)).toEqual(before);
          seen.push(after);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("decide between actors at the same time as if they had come one after the other", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 4 }),
        fc.array(step, { minLength: 2, maxLength: 4 }),
        async (earlier, rivals) => {
          let run = await newRun();
          for (const one of earlier) {
            await perform(stores, one, run);
            run = (await stores.runs.find(run))!;
          }
          const landed = await Promise.all(rivals.map((one) => perform(stores, one, run)));
          const end = stateOf((await stores.runs.find(run))!);
          const start = stateOf(run);
          const explains = (order: readonly number[]): boolean => {
            let state: RunState = start;
            for (const i of order) {
              const next = expected(rivals[i]!, start, state);
              if ((next !== undefined) !== landed[i]) return false;
              state = next ?? state;
            }
            return JSON.stringify(state) === JSON.stringify(end);
          };
          expect(permutations(rivals.map((_, i) => i)).some(explains)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}
