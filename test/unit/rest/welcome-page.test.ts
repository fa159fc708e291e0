import { describe, expect, it } from "vitest";
import { banner } from "../../../src/banner.ts";
import { type About, wantsPage, welcomePage } from "../../../src/rest/welcome-page.ts";

const about: About = {
  version: "1.2.3",
  graphs: [
    { name: "good" },
    { name: "other" },
    { name: "bad", problem: 'The graph "bad" of /x/<y>.ts cannot be loaded: no & yes\n    at line 3' },
  ],
  data: "/srv/<data>, by an engine",
  pid: 4711,
};

describe("who is shown a page", () => {
  it.each([
    ["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true],
    ["TEXT/HTML", true],
    ["application/json;q=0.5, text/html;q=0.9", true],
    [undefined, false],
    ["", false],
    ["*/*", false],
    ["application/json, text/plain, */*", false],
    ["text/html;q=0", false],
    ["application/json, text/html;q=0.5", false],
    ["text/htmlx", false],
  ])("%j: %s", (accept, expected) => {
    expect(wantsPage(accept)).toBe(expected);
  });
});

describe("what a person is told of a server that runs", () => {
  it("names what is served and what is broken on the page, with every text escaped", () => {
    const page = welcomePage(about);
    for (const part of [
      "1.2.3",
      ">good<",
      ">other<",
      "/srv/&#60;data&#62;",
      "process 4711",
      'href="docs"',
      'href="ok',
    ]) {
      expect(page).toContain(part);
    }
    expect(page).toContain(
      "<code>bad</code>: The graph &#34;bad&#34; of /x/&#60;y&#62;.ts cannot be loaded: no &#38; yes",
    );
    expect(welcomePage({ ...about, graphs: [{ name: "good" }] })).not.toContain("Broken");
  });

  it("names the same on the terminal, a line each", () => {
    const lines = banner(about, "http://127.0.0.1:1").split("\n");
    expect(lines).toContain("  Graphs  good, other");
    expect(lines).toContain('  Broken  bad: The graph "bad" of /x/<y>.ts cannot be loaded: no & yes');
    for (const start of [
      "API     http://127.0.0.1:1 ",
      "Docs    http://127.0.0.1:1/docs",
      "Health  http://127.0.0.1:1/ok",
    ]) {
      expect(lines.some((line) => line.startsWith(`  ${start}`))).toBe(true);
    }
    expect(lines).toContain("  Data    /srv/<data>, by an engine");
    expect(lines.some((line) => /Stop {4}Ctrl-C/.test(line))).toBe(true);
    expect(banner({ ...about, graphs: [] }, "http://x")).toContain("  Graphs  none");
  });
});
