import { describe, expect, it } from "vitest";
import { answerBytes, readPage } from "../../../src/domain/read-page.ts";

const all = Array.from({ length: 300 }, (_, n) => n);

/** Reads a page of numbers, and keeps how many were asked for each time. */
async function page(limit: number, sizeOf?: (entry: number) => number, entries = all) {
  const asked: number[] = [];
  const read = async (count: number, last: number | undefined) => {
    asked.push(count);
    return entries.filter((one) => last === undefined || one > last).slice(0, count);
  };
  return { ...(await readPage({ limit, read, sizeOf })), asked };
}

describe("a page", () => {
  it.each([
    ["that is full", 20, 20, true],
    ["that ends with the last entry", 300, 300, false],
    ["that is not full", 301, 300, false],
    ["of one", 1, 1, true],
  ])("%s holds what there is, in order", async (_, limit, count, more) => {
    for (const sizeOf of [undefined, () => 1]) {
      const { items, more: hasMore } = await page(limit, sizeOf);
      expect([items, hasMore]).toEqual([all.slice(0, count), more]);
    }
  });

  it("is read at once where it cannot end early", async () => {
    expect((await page(200)).asked).toEqual([201]);
    expect((await page(20, () => 1)).asked).toEqual([21]);
  });

  it("ends before its entries have too many bytes, and then has read little more", async () => {
    const { items, more, asked } = await page(300, () => answerBytes / 10);
    expect([items, more, asked]).toEqual([all.slice(0, 10), true, [26]]);
  });

  it("has at least one entry, however large", async () => {
    expect(await page(20, () => 2 * answerBytes)).toMatchObject({ items: [0], more: true });
    expect(await page(20, () => 2 * answerBytes, [7])).toMatchObject({ items: [7], more: false });
  });
});
