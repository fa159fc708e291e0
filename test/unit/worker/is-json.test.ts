import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isJson } from "../../../src/worker/is-json.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const signs = [
  ...'[]{}:,"\\/ \n\t\u00a0-+.eE01x',
  "\\u00e9",
  "\\u12",
  "\\x",
  "true",
  "nul",
  "null",
  '"a"',
  '"__proto__":',
];

describe("isJson", () => {
  it.each([
    ...[
      "",
      " ",
      "1",
      "-0.5e+3",
      "01",
      "-",
      "1.",
      ".5",
      "+1",
      "1 2",
      "truex",
      "tru",
      "null",
      '"',
      '"a',
      '"a"b',
      '"\\"',
      "\ufeff1",
    ],
    ...[
      "[]",
      "[1,]",
      "[,1]",
      "[1 2]",
      "[",
      "]",
      "[}",
      "{]",
      "{}",
      "{,}",
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      "{1:1}",
      '{"a":1 "b":2}',
    ],
    ...[
      ' { "a" : [ 1 , { } , "\\u00E9\\n" ] } ',
      '"\u0000"',
      '"\n"',
      '"\\u00g0"',
      '"\ud800"',
      "[]]",
      "{}{}",
      '{"a":1}}',
      "//",
      "NaN",
    ],
  ])("agrees with JSON.parse about %j, in parts of any size", async (text) => {
    for (const characters of [1, 2, 3, 1000])
      expect([characters, await isJson(text, characters)]).toEqual([characters, parses(text)]);
  });

  it("agrees with JSON.parse about whatever there is", async () => {
    const of = async (text: string, characters: number) => {
      expect(await isJson(text, characters)).toBe(parses(text));
    };
    const parts = fc.integer({ min: 1, max: 20 });
    await fc.assert(fc.asyncProperty(fc.json(), parts, of));
    const put = fc.tuple(fc.json(), fc.nat(), fc.nat({ max: 2 }), fc.constantFrom("", ...signs));
    const changed = put.map(([text, at, out, sign]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + sign + text.slice(place + out);
    });
    await fc.assert(fc.asyncProperty(changed, parts, of), { numRuns: 3000 });
    const soup = fc.array(fc.constantFrom(...signs), { maxLength: 12 }).map((all) => all.join(""));
    await fc.assert(fc.asyncProperty(soup, parts, of), { numRuns: 3000 });
  });

  it("lets others have their turn", async () => {
    const texts = [
      `"${"x".repeat(4_000_000)}"`,
      `[${"{},".repeat(1_000_000)}{}]`,
      "[".repeat(1_000_000) + "]".repeat(1_000_000),
    ];
    for (const text of texts) {
      let turns = 0;
      const counting = setInterval(() => (turns += 1), 0);
      expect(await isJson(text)).toBe(true);
      clearInterval(counting);
      expect(turns).toBeGreaterThan(5);
    }
  });
});
