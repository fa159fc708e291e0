import { describe, expect, it } from "vitest";
import { layFoundation, type RunsOptions } from "../../../src/wiring/foundation.ts";

const foundation = () => layFoundation({ config: { leaseMs: 1_000 }, stores: {} } as RunsOptions);

describe("a server that was declared dead", () => {
  it("has no life until its next one is known to others", async () => {
    const { self, beginNewLife } = foundation();
    const first = self();
    expect(first.ended.aborted).toBe(false);
    const joined = Promise.withResolvers<string>();
    let joining = "";
    const begun = beginNewLife((id) => {
      joining = id;
      return joined.promise;
    });
    expect(self()).toBe(first);
    expect(first.ended.aborted).toBe(true);
    joined.resolve("now");
    expect(await begun).toBe("now");
    expect(self().id).toBe(joining);
    expect(joining).not.toBe(first.id);
    expect(self().ended.aborted).toBe(false);
  });

  it("joins as the same one again after a failure, since that may have been known after all", async () => {
    const { self, beginNewLife } = foundation();
    const tried: string[] = [];
    const join = async (id: string) => {
      tried.push(id);
      if (tried.length === 1) throw new Error("the database is away");
      return "now";
    };
    await expect(beginNewLife(join)).rejects.toThrow("away");
    expect(self().ended.aborted).toBe(true);
    await beginNewLife(join);
    expect(tried[1]).toBe(tried[0]);
    expect(self().id).toBe(tried[0]);
  });

  it("joins as another one when it was declared dead before it had begun", async () => {
    const { self, beginNewLife } = foundation();
    const tried: string[] = [];
    expect(await beginNewLife(async (id) => (tried.push(id) === 1 ? undefined : "now"))).toBe("now");
    expect(new Set(tried).size).toBe(2);
    expect(self().id).toBe(tried[1]);
  });
});
