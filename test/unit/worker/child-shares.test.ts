import { describe, expect, it } from "vitest";
import { hasRoom, nextToYield, type SharedChild } from "../../../src/worker/child-shares.ts";

const of = (owner: string | undefined, free: number): SharedChild => ({ owner, free });
const slots = 4;

describe("room for one more attempt", () => {
  const room = (children: SharedChild[], pending: Record<string, number> = {}, exclusive = 0) =>
    hasRoom(children, "a", new Map(Object.entries(pending)), slots, exclusive);

  it.each([
    ["in a process of its own", [of("a", 1)], {}, true],
    ["in none that is full", [of("a", 0)], {}, false],
    ["in nobody's", [of(undefined, 4)], {}, true],
    ["in none of others", [of("b", 4)], {}, false],
    ["not where all of it is claimed", [of("a", 2)], { a: 2 }, false],
    ["beside what is claimed", [of("a", 2)], { a: 1 }, true],
    ["in nobody's, behind its own", [of("a", 1), of(undefined, 4)], { a: 1 }, true],
    ["not in nobody's that another one's claims take", [of(undefined, 4)], { b: 1 }, false],
    ["in nobody's that another one's claims leave", [of(undefined, 4), of(undefined, 4)], { b: 4 }, true],
    ["not in two that another one's claims take", [of(undefined, 4), of(undefined, 4)], { b: 5 }, false],
    ["in nobody's, since another one's claims have room elsewhere", [of(undefined, 4), of("b", 1)], { b: 1 }, true],
    ["in the second of nobody's", [of(undefined, 4), of(undefined, 4)], { a: 4 }, true],
    ["not in a third", [of(undefined, 4), of(undefined, 4)], { a: 8 }, false],
  ])("%s", (_, children, pending, expected) => {
    expect(room(children, pending)).toBe(expected);
  });

  it("what its exclusive processes take up is taken off its own", () => {
    expect(room([of("a", 2)], {}, 1)).toBe(true);
    expect(room([of("a", 2)], {}, 2)).toBe(false);
  });
});

describe("who gives a process back", () => {
  const one = (owner: string | undefined, ownedSince: number) => ({ owner, ownedSince });
  const next = (...children: ReturnType<typeof one>[]) => nextToYield(children, new Set(["waits"]));

  it("is who has most, and of these the one whose turn has lasted longest", () => {
    expect(next(one("a", 1), one("b", 2), one("b", 3))).toEqual(one("b", 2));
    expect(next(one("a", 5), one("b", 4))).toEqual(one("b", 4));
  });

  it("is nobody who waits, and no process that is nobody's", () => {
    expect(next(one("waits", 1), one(undefined, 0))).toBeUndefined();
  });
});
