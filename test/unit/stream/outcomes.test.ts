import { beforeEach, describe, expect, it } from "vitest";
import type { RunStore } from "../../../src/domain/ports.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { createOutcomes, type Outcomes } from "../../../src/stream/outcomes.ts";

const name = { owner: "", threadId: "thread", runId: "run" };
const live = { ...name, phase: "running" } as Run;
const over = { ...name, phase: "over" } as Run;

describe("expecting the end of a run that is about to be created", () => {
  /** What the database has of the run, and the looks at it. */
  let stored: Run | undefined;
  let looks: number;
  /** Who is known to wait. */
  let followed: number;
  let outcomes: Outcomes;
  const { signal } = new AbortController();

  beforeEach(() => {
    stored = undefined;
    looks = 0;
    const look = async <T>(found: T): Promise<T> => {
      looks += 1;
      return found;
    };
    const runs: Pick<RunStore, "find" | "tombstone"> = {
      find: () => look(stored),
      tombstone: () => look(undefined),
    };
    followed = 0;
    outcomes = createOutcomes(runs, () => {
      followed += 1;
      return () => {
        followed -= 1;
      };
    });
  });

  it("hears of an end without a look", async () => {
    const listener = outcomes.listen(name);
    const end = listener.end(live, signal);
    outcomes.announce(over);
    expect(await end).toBe(over);
    expect(looks).toBe(0);
  });

  it("does not take an end that was told before for that of the run, whose id another one had", async () => {
    stored = live;
    const listener = outcomes.listen(name);
    outcomes.announce({ ...over, status: "interrupted" });
    await Promise.resolve();
    const end = listener.end(live, signal);
    await outcomes.look(name);
    stored = over;
    await outcomes.look(name);
    expect(await end).toBe(over);
  });

  it("looks at a run that had ended before", async () => {
    stored = over;
    expect(await outcomes.listen(name).end({ ...over, status: "interrupted" }, signal)).toBe(over);
  });

  it("does not take a run for deleted that is not there yet", async () => {
    const listener = outcomes.listen(name);
    await outcomes.look(name);
    expect(looks).toBe(0);
    stored = live;
    const end = listener.end(live, signal);
    await outcomes.look(name);
    expect(looks).toBeGreaterThan(0);
    // It ends in another server.
    stored = over;
    await outcomes.look(name);
    expect(await end).toBe(over);
  });

  it("waits for the run that was created when that got another id", async () => {
    const created = { ...live, runId: "another" };
    stored = created;
    const end = outcomes.listen(name).end(created, signal);
    await outcomes.look(created);
    stored = { ...over, runId: "another" };
    await outcomes.look(created);
    expect(await end).toBe(stored);
  });

  it("rejects for a run that is deleted, and for a caller that leaves", async () => {
    stored = live;
    const deleted = expect(outcomes.listen(name).end(live, signal)).rejects.toMatchObject({ reason: "RUN_NOT_FOUND" });
    const leaving = new AbortController();
    const left = expect(outcomes.listen(name).end(live, leaving.signal)).rejects.toThrow("gone");
    leaving.abort(new Error("gone"));
    await left;
    stored = undefined;
    await outcomes.look(name);
    await deleted;
  });

  it("listens no more once it is closed", async () => {
    outcomes.listen(name).close();
    const other = outcomes.listen(name);
    stored = live;
    void other.end(live, signal);
    expect(followed).toBe(1);
    other.close();
    expect(followed).toBe(0);
    await outcomes.look(name);
    expect(looks).toBe(0);
  });
});
