import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ownerKey, requireOwnerKey } from "../../../src/domain/owner.ts";
import { key } from "../../../src/storage/keys.ts";

const name = fc.oneof(
  fc.string({ minLength: 1, unit: "grapheme" }),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,66}$/),
  fc.stringMatching(/^[a-c/|:.]{1,6}$/),
);

describe("an owner's key", () => {
  it("is that of no other owner, and never has anything in it that ends a key", () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        const [mine, theirs] = [ownerKey(one), ownerKey(other)];
        requireOwnerKey(mine);
        expect(mine).not.toMatch(/[/:| ]/);
        expect(mine === theirs).toBe(one === other);
      }),
    );
  });

  it("is no name that another owner may have: a key as a name gets another key", () => {
    fc.assert(
      fc.property(name, (one) => {
        const mine = ownerKey(one);
        if (mine !== one) expect(ownerKey(mine)).not.toBe(mine);
      }),
    );
  });

  it.each(["a/b", "a|b", "a b", "", "..", "ä", "x".repeat(65), "\u202e"])("is not %j as it is called", (called) => {
    if (called !== "") expect(() => requireOwnerKey(called)).toThrow("an owner came as it was called");
    expect(ownerKey(called)).toMatch(/^\.[A-Za-z0-9_-]{43}$/);
  });
});

describe("a key of what is stored", () => {
  it("is that of nothing else of any other owner, whatever ids the two have chosen", () => {
    fc.assert(
      fc.property(name, name, fc.string(), fc.string(), (one, other, id, otherId) => {
        fc.pre(one !== other);
        expect(key(ownerKey(one), id)).not.toBe(key(ownerKey(other), otherId));
      }),
    );
    expect(key("acme", "create:x/create:y")).not.toBe(key(ownerKey("acme/create:x"), "create:y"));
  });

  it("is not made for an owner as it is called", () => {
    expect(() => key("auth0|7/x", "id")).toThrow();
  });
});
