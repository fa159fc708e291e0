import { describe, expect, it } from "vitest";
import { isMeant, readHostRule } from "../../../src/webhooks/host-rule.ts";

describe("a host that an operator means", () => {
  it.each([
    ["a.example", ["a.example"], ["b.example", "x.a.example", "a.example.org", "1.2.3.4"]],
    ["A.Example.", ["a.example"], ["b.example"]],
    ["bücher.example", ["xn--bcher-kva.example"], ["bucher.example"]],
    ["*.example", ["a.example", "b.a.example"], ["example", "aexample", "example.org"]],
    ["10.0.0.0/8", ["10.0.0.1", "10.255.0.1", "::ffff:10.0.0.1"], ["11.0.0.1", "a.example", "::a00:1", "fd00::1"]],
    ["10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2"]],
    ["0.0.0.0/0", ["10.0.0.1", "8.8.8.8"], ["::1"]],
    ["[fd00::/8]", ["fd00::1", "fdff::1"], ["fe80::1", "10.0.0.1"]],
    ["[::1]", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
  ])("%s", (text, meant, others) => {
    for (const [written, port] of [
      [text, 443],
      [`${text}:8080`, 8080],
    ] as const) {
      const rule = readHostRule(written)!;
      expect(meant.filter((host) => !isMeant(rule, host, port))).toEqual([]);
      expect(others.filter((host) => isMeant(rule, host, port))).toEqual([]);
    }
    expect(meant.filter((host) => isMeant(readHostRule(`${text}:8080`)!, host, 443))).toEqual([]);
  });

  it.each([
    ...[
      "",
      "https://a.example",
      "a.example/path",
      "a b",
      "user@a.example",
      "a.example:",
      "a.example:0",
      "a.example:65536",
    ],
    ...["*", "*.", "a.*.example", "*.10.0.0.1", "a.example:x", "?", "a#b"],
    // Each of these may be taken for another address, or for none.
    ...[
      "0177.0.0.1",
      "127.1",
      "2130706433",
      "0x7f.0.0.1",
      "010.0.0.0/8",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10/8",
      "10.0.0.0/-1",
    ],
    ...[
      "::1",
      "[::1",
      "[::1]443",
      "[fd00::/129]",
      "[fd00::]/8",
      "[10.0.0.1]",
      "[::ffff:10.0.0.1]",
      "[a.example]",
      "[fe80::1%1]",
    ],
  ])("is not written as %j", (text) => {
    expect(readHostRule(text)).toBeUndefined();
  });
});
