import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { afterEach, describe, expect, it, vi } from "vitest";
import { OnDisconnect } from "../../../gen/reins/v1/run_pb.ts";
import { anybody, identityKey } from "../../../src/access/identity.ts";
import { createWatchers } from "../../../src/services/watchers.ts";

const run = { owner: "", threadId: "thread", runId: "run" };
const context = { values: createContextValues().set(identityKey, anybody) } as HandlerContext;
const lookAgainMs = 1_000;

/** The watchers of one server, and what is stored of a run that a caller of another server has left. */
function oneServer() {
  const left = new Set(["left elsewhere"]);
  const world = { left, isWatchedElsewhere: false, cancels: 0 };
  /** The watches of callers of this server. */
  const watches = new Set<string>();
  const watchers = createWatchers({
    calls: { onClientGone: () => () => undefined },
    store: async (id) => void watches.add(id),
    forget: async (id) => void (watches.delete(id) || left.delete(id)),
    bar: () => Promise.reject(new Error("no write is in doubt")),
    markLeft: () => Promise.reject(new Error("nobody leaves here")),
    stored: async () => ({ left: [...left], elsewhere: world.isWatchedElsewhere }),
    async cancel() {
      world.cancels += 1;
    },
    isTransient: () => false,
    isEnding: () => false,
    pause: () => Promise.resolve(),
    lookAgainMs,
    log: {} as never,
  });
  return { world, watches, watchers };
}

describe("the watchers of a run in one server", () => {
  afterEach(() => void vi.useRealTimers());

  it("cancel it for a leaver of another server when the last one goes, also if the database knows only of those before", async () => {
    const { world, watchers } = oneServer();
    const known = await watchers.open(context, run, OnDisconnect.CANCEL);
    const unknown = await watchers.open(context, run, OnDisconnect.CONTINUE);
    known.close();
    await watchers.settled();
    expect(world.cancels).toBe(0);
    unknown.close();
    await watchers.settled();
    expect(world).toEqual({ left: new Set(), isWatchedElsewhere: false, cancels: 1 });
  });

  it("cancel it for a leaver whose wish somebody has inherited who came when the last one had gone", async () => {
    const { world, watchers } = oneServer();
    (await watchers.open(context, run, OnDisconnect.CANCEL)).close();
    const heir = await watchers.open(context, run, OnDisconnect.CONTINUE);
    await watchers.settled();
    expect(world.cancels).toBe(0);
    heir.close();
    await watchers.settled();
    expect(world).toEqual({ left: new Set(), isWatchedElsewhere: false, cancels: 1 });
  });

  it("are stored anew when others have taken this server for dead, as long as their callers are there", async () => {
    const { watches, watchers } = oneServer();
    const [stays, goes] = [
      await watchers.open(context, run, OnDisconnect.CANCEL_IF_LAST),
      await watchers.open(context, run, OnDisconnect.CANCEL),
    ];
    const [old] = watches;
    goes.close();
    await watchers.settled();
    expect([...watches]).toEqual([old]);
    watchers.storeAnew();
    await watchers.settled();
    expect(watches.size).toBe(1);
    expect([...watches]).not.toEqual([old]);
    stays.close();
    await watchers.settled();
    expect(watches.size).toBe(0);
    watchers.storeAnew();
    await watchers.settled();
    expect(watches.size).toBe(0);
  });

  it("look again at what they have left to others, which may have died over it", async () => {
    vi.useFakeTimers();
    const { world, watchers } = oneServer();
    world.isWatchedElsewhere = true;
    (await watchers.open(context, run, OnDisconnect.CANCEL)).close();
    await vi.advanceTimersByTimeAsync(3 * lookAgainMs);
    expect(world.cancels).toBe(0);
    world.isWatchedElsewhere = false;
    await vi.advanceTimersByTimeAsync(3 * lookAgainMs);
    expect(world).toEqual({ left: new Set(), isWatchedElsewhere: false, cancels: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
