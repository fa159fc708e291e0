import { beforeEach, describe, expect, it } from "vitest";
import type { Nudge } from "../../../src/domain/nudge.ts";
import { createFollowers, type Followers, followedLimit } from "../../../src/nudges/followers.ts";

const run = { owner: "", threadId: "thread", runId: "run" };
const keptMs = 1_000;

describe("servers that follow a run of this one", () => {
  let sent: [to: string, kind: Nudge["kind"]][];
  let now: number;
  let here: Set<string>;
  let followers: Followers;
  const add = (kind: "follow" | "expect", follower: string, events = true, of = run) =>
    followers.add({ kind, run: of, follower, events });
  const take = () => sent.splice(0);

  beforeEach(() => {
    [sent, now, here] = [[], 0, new Set(["run"])];
    followers = createFollowers({
      send: (to, { kind }) => sent.push([to, kind]),
      mayExecuteHere: ({ runId }) => here.has(runId),
      keptMs,
      monotonicMs: () => now,
    });
  });

  it("are told of its events and its end, those who only wait of its end, and of nothing after it", () => {
    add("follow", "reader");
    add("follow", "waiter", false);
    take();
    followers.published(run);
    expect(take()).toEqual([["reader", "events"]]);
    followers.ended(run);
    expect(take()).toEqual([
      ["reader", "ended"],
      ["waiter", "ended"],
    ]);
    followers.ended(run);
    followers.published(run);
    expect(take()).toEqual([]);
  });

  it("look once more when they have come, since they may have missed something, and not when they ask again", () => {
    add("follow", "reader", false);
    expect(take()).toEqual([["reader", "ended"]]);
    add("follow", "reader", false);
    expect(take()).toEqual([]);
    add("follow", "reader", true);
    expect(take()).toEqual([["reader", "ended"]]);
  });

  it("are sent back when it does not execute here (any more)", () => {
    here.clear();
    add("follow", "reader");
    expect(take()).toEqual([["reader", "ended"]]);
    followers.published(run);
    expect(take()).toEqual([]);
  });

  it("are told at once when they ask after its end, whoever they believe to execute it", () => {
    followers.ended(run);
    here.clear();
    add("expect", "late");
    add("expect", "another", true, { ...run, runId: "another" });
    expect(take()).toEqual([["late", "ended"]]);
  });

  it("are told of the end of what they have cancelled, and read as much of it as before", () => {
    const cancel = (follower: string) => followers.add({ kind: "cancel", run, follower });
    cancel("canceller");
    add("follow", "reader");
    take();
    cancel("reader");
    followers.published(run);
    expect(take()).toEqual([["reader", "events"]]);
    followers.ended(run);
    expect(take()).toEqual([
      ["canceller", "ended"],
      ["reader", "ended"],
    ]);
    here.clear();
    cancel("late");
    expect(take()).toEqual([["late", "ended"]]);
  });

  it("are told of one that comes to execute here later", () => {
    here.clear();
    add("expect", "reader");
    expect(take()).toEqual([]);
    followers.published(run);
    expect(take()).toEqual([["reader", "events"]]);
  });

  it("are forgotten when they do not ask again", () => {
    add("follow", "leaver");
    add("follow", "reader");
    now = keptMs / 2;
    add("follow", "reader");
    take();
    now = keptMs + 1;
    followers.published(run);
    expect(take()).toEqual([["reader", "events"]]);
  });

  it("are no more than can be kept in mind", () => {
    add("expect", "reader");
    for (let n = 0; n < followedLimit; n++) add("expect", "reader", true, { ...run, runId: String(n) });
    take();
    followers.published(run);
    expect(take()).toEqual([]);
    followers.published({ ...run, runId: "0" });
    expect(take()).toEqual([["reader", "events"]]);
  });
});
