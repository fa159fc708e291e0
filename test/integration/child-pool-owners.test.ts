import { afterEach, describe, expect, it, vi } from "vitest";
import type { AttemptHooks, AttemptHost } from "../../src/worker/attempt-host.ts";
import {
  attemptSpec,
  emptyItems,
  emptyJournal,
  fakePool,
  gone,
  isAlive,
  patience,
  run,
} from "../support/fake-child-pool.ts";

let pool: AttemptHost;

async function start(options: Parameters<typeof fakePool>[0] = {}): Promise<void> {
  ({ pool } = fakePool({ children: 1, maxChildren: 2, slotsPerChild: 2, ...options }));
  await pool.start();
}

afterEach(async () => {
  const { pids } = pool;
  await pool.stop();
  await gone(pids);
});

const noHooks: AttemptHooks = {
  journal: emptyJournal,
  items: emptyItems,
  output: () => Promise.resolve(),
  delivered: () => undefined,
  over: () => undefined,
};
const nothing = new Map<string, number>();
/** As a scheduler asks: what finds no room is wanted, until there is some. */
const untilRoom = (owner: string) =>
  vi.waitUntil(() => {
    if (pool.hasRoom(owner, nothing)) return true;
    pool.want(owner);
    return false;
  }, patience);

const inspect = (owner: string) =>
  pool.inspect({ ...emptyJournal, owner }, { kind: "state", graph: "agent", omitValues: false });

describe("processes of several owners", { timeout: 30_000 }, () => {
  it("are never shared, whoever has room", async () => {
    await start();
    const alice = await run(pool, { act: "polite" }, { owner: "alice" });
    expect(pool.hasRoom("alice", nothing)).toBe(true);
    expect(pool.hasRoom("bob", nothing)).toBe(false);
    await untilRoom("bob");
    const bob = await run(pool, { act: "polite" }, { owner: "bob" });
    const alicesOther = await run(pool, { act: "polite" }, { owner: "alice" });
    expect(bob.placed.pid).not.toBe(alice.placed.pid);
    expect(alicesOther.placed.pid).toBe(alice.placed.pid);
    expect(pool.hasRoom("alice", nothing)).toBe(false);
  });

  it("are replaced, not reused, for another owner", async () => {
    await start({ maxChildren: 1, spare: false });
    const alice = await run(pool, { act: "finish" }, { owner: "alice" });
    await alice.over;
    await untilRoom("bob");
    const bob = await run(pool, { act: "polite" }, { owner: "bob" });
    expect(bob.placed.pid).not.toBe(alice.placed.pid);
    await gone([alice.placed.pid]);
  });

  it("are not reused after an inspection either, nor for one", async () => {
    await start({ maxChildren: 1, spare: false });
    await inspect("alice");
    const [alices] = pool.pids;
    await untilRoom("bob");
    const bob = await run(pool, { act: "finish" }, { owner: "bob" });
    expect(bob.placed.pid).not.toBe(alices);
    await bob.over;
    await inspect("alice");
    expect(pool.pids.some((pid) => pid !== bob.placed.pid)).toBe(true);
  });

  it("an exclusive one of one owner takes no spare that another has used", async () => {
    await start({ maxChildren: 4 });
    const before = await run(pool, { act: "polite" }, { owner: "alice" });
    await inspect("alice");
    const used = new Set(pool.pids);
    const bob = await run(pool, { act: "polite" }, { owner: "bob", exclusive: true });
    await bob.started();
    expect(before.placed.pid).not.toBe(bob.placed.pid);
    await inspect("alice");
    // What has answered Alice lives on beside it, and never was Bob's.
    for (const pid of used) if (pid !== bob.placed.pid) expect(await isAlive(pid)).toBe(true);
  });

  it("one that finds no exclusive one waits for it, and is not claimed again and again", async () => {
    await start({ spare: false });
    const alices = [];
    for (let n = 0; n < 2; n += 1) alices.push(await run(pool, { act: "polite" }, { owner: "alice", exclusive: true }));
    for (const each of alices) await each.started();
    // There is room for what is not exclusive, and nobody knows which it is before it is claimed.
    expect(pool.hasRoom("bob", nothing)).toBe(true);
    const place = () => pool.place(attemptSpec({ act: "polite" }), noHooks, { owner: "bob", exclusive: true });
    expect(place()).toBeUndefined();
    expect(pool.untilStart({ exclusive: true })).toBeDefined();
    alices[0]!.placed.stop("interrupt", "");
    await alices[0]!.over;
    await vi.waitUntil(async () => {
      if (place()) return true;
      await pool.untilStart({ exclusive: true });
      return false;
    }, patience);
  });

  it("answer whoever asks while others use all that may be for questions, once one of these is answered", async () => {
    await start();
    const { promise: mayRead, resolve: read } = Promise.withResolvers<undefined>();
    let reading = 0;
    const ask = (owner: string) =>
      pool.inspect(
        {
          ...emptyJournal,
          owner,
          read() {
            reading += 1;
            return mayRead;
          },
        },
        { kind: "state", graph: "agent", omitValues: false },
      );
    // A shared process, and ten for questions.
    const answers = Array.from({ length: 11 }, (_, place) => ask(`o${place}`));
    await vi.waitUntil(() => reading === answers.length, patience);
    const late = ask("late");
    read(undefined);
    for (const answer of [...answers, late]) await expect(answer).resolves.toBeDefined();
  });

  it("go round: who has had one for longest gives it back at its runs' next step", async () => {
    await start({ maxChildren: 1, spare: false });
    const alice = await run(pool, { act: "polite" }, { owner: "alice" });
    await alice.started();
    await untilRoom("bob");
    expect(await alice.over).toEqual({ how: "ended", end: { kind: "drained" } });
    const bob = await run(pool, { act: "polite" }, { owner: "bob" });
    await bob.started();
    await untilRoom("alice");
    expect(await bob.over).toEqual({ how: "ended", end: { kind: "drained" } });
  });

  it("an owner with many runs leaves a process to one that has none", async () => {
    await start({ children: 2, maxChildren: 2, spare: false });
    const backlog = [];
    for (let n = 0; n < 4; n += 1) backlog.push(await run(pool, { act: "polite" }, { owner: "alice" }));
    expect(new Set(backlog.map(({ placed }) => placed.pid)).size).toBe(2);
    await untilRoom("bob");
    // Of Alice's two processes one is left to her, and she may not take what was made ready for Bob.
    expect(pool.hasRoom("alice", nothing)).toBe(false);
    const bob = await run(pool, { act: "polite" }, { owner: "bob" });
    await bob.started();
    expect(backlog.filter(({ overs }) => overs.length > 0)).toHaveLength(2);
  });
});
