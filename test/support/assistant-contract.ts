import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { AssistantPosition, StoredAssistant } from "../../src/domain/assistant.ts";
import type { AssistantStore } from "../../src/domain/ports.ts";

/** What every store of assistants must do. */
export function describeAssistants(which: string, open: () => Promise<AssistantStore>): void {
  let assistants: AssistantStore;
  beforeAll(async () => {
    assistants = await open();
  });

  const newAssistant = (change: Partial<StoredAssistant> = {}): StoredAssistant => ({
    owner: "",
    assistantId: randomUUID(),
    graph: "agent",
    name: "name",
    description: "",
    metadata: {},
    config: undefined,
    context: undefined,
    version: 1,
    system: false,
    createdAt: new Date(1_000),
    updatedAt: new Date(1_000),
    ...change,
  });
  async function stored(change?: Partial<StoredAssistant>): Promise<StoredAssistant> {
    const assistant = newAssistant(change);
    expect(await assistants.insert(assistant)).toBe(true);
    return assistant;
  }
  const full: Partial<StoredAssistant> = {
    config: { tags: ["a"], recursionLimit: 5, configurable: '{"b":1}' },
    context: '{"c":[2]}',
    description: "full",
    metadata: { "a.b": { $set: [1, null] }, "": {} },
  };

  describe(`an assistant ${which}`, () => {
    it("is inserted once, and found as it was given", async () => {
      const [plain, rich] = [await stored(), await stored(full)];
      expect(await assistants.insert(newAssistant({ assistantId: plain.assistantId, name: "another" }))).toBe(false);
      expect(await assistants.find(plain)).toEqual(plain);
      expect(await assistants.find(rich)).toEqual(rich);
      expect(await assistants.find(newAssistant())).toBeUndefined();
    });

    it("is one owner's", async () => {
      const assistant = await stored();
      const { assistantId } = assistant;
      expect(await assistants.find({ owner: "owner", assistantId })).toBeUndefined();
      const others = await stored({ owner: "owner", assistantId, name: "of the owner" });
      expect(await assistants.find(assistant)).toEqual(assistant);
      expect(await assistants.remove(others)).toBe(true);
      expect(await assistants.find(others)).toBeUndefined();
      expect(await assistants.find(assistant)).toEqual(assistant);
    });

    it("is replaced where it is as it was seen, and nothing is left of what it was", async () => {
      const seen = await stored(full);
      const { owner, assistantId, createdAt } = seen;
      const next = newAssistant({
        owner,
        assistantId,
        createdAt,
        version: 2,
        updatedAt: new Date(2_000),
        graph: "other",
        name: "next",
      });
      expect(await assistants.replace({ ...seen, version: 0 }, next)).toBe(false);
      expect(await assistants.replace({ ...seen, createdAt: new Date(999) }, next)).toBe(false);
      expect(await assistants.replace({ ...seen, owner: "owner" }, next)).toBe(false);
      expect(await assistants.find(seen)).toEqual(seen);
      expect(await assistants.replace(seen, next)).toBe(true);
      expect(await assistants.find(seen)).toEqual(next);
      expect(await assistants.replace(seen, { ...next, name: "late" })).toBe(false);
      expect(await assistants.find(seen)).toEqual(next);
    });

    it("is replaced by one of those who have seen the same", async () => {
      const seen = await stored();
      const all = Array.from({ length: 6 }, (_, n) => ({ ...seen, version: 2, name: `name ${n}` }));
      const results = await Promise.all(all.map((next) => assistants.replace(seen, next)));
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await assistants.find(seen)).toEqual(all[results.indexOf(true)]);
    });

    it("is removed once, and its id free then", async () => {
      const assistant = await stored();
      expect(await assistants.remove(assistant)).toBe(true);
      expect(await assistants.remove(assistant)).toBe(false);
      expect(await assistants.find(assistant)).toBeUndefined();
      expect(await assistants.replace(assistant, { ...assistant, version: 2 })).toBe(false);
      expect(await assistants.find(assistant)).toBeUndefined();
      const again = await stored({ assistantId: assistant.assistantId, createdAt: new Date(2_000) });
      // The same version of another one that had the id.
      expect(await assistants.replace(assistant, { ...assistant, version: 2 })).toBe(false);
      expect(await assistants.find(assistant)).toEqual(again);
    });
  });

  describe(`assistants ${which}`, () => {
    it("are listed newest first, of one owner and one graph, from a place on", async () => {
      const owner = randomUUID();
      // Many at the same time, of which the ids decide.
      const all: StoredAssistant[] = [];
      for (let n = 0; n < 12; n++)
        all.push(
          await stored({ owner, createdAt: new Date(1_000 + Math.floor(n / 5)), graph: n % 3 ? "agent" : "other" }),
        );
      await stored({ owner: randomUUID() });
      const order = (a: StoredAssistant, b: StoredAssistant) =>
        b.createdAt.getTime() - a.createdAt.getTime() || (a.assistantId < b.assistantId ? 1 : -1);
      async function scanned(graph?: string, after?: AssistantPosition): Promise<StoredAssistant[]> {
        const found: StoredAssistant[] = [];
        for await (const one of assistants.scan({ owner, graph }, after)) found.push(one);
        return found;
      }
      for (const graph of [undefined, "agent", "other"]) {
        const expected = all.filter((one) => graph === undefined || one.graph === graph).toSorted(order);
        expect(await scanned(graph)).toEqual(expected);
        for (const [place, one] of expected.entries())
          expect(await scanned(graph, one)).toEqual(expected.slice(place + 1));
      }
      expect(await scanned("none")).toEqual([]);
    });
  });
}
