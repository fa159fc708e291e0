import { describe, expect, it } from "vitest";
import { ListenError, requireGuards } from "../../../src/server/listen-on.ts";

const none = { access: false, tls: false, insecureNoAuth: false };
const foreign = [
  "0.0.0.0",
  "::",
  "[::]",
  "192.168.1.1",
  "10.0.0.1",
  "agents.example",
  "localhost.example",
  "128.0.0.1",
];
const loopback = ["127.0.0.1", "127.9.8.7", "localhost", "::1", "[::1]"];

describe("an address that other machines may reach", () => {
  it.each(foreign)("is refused without access control: %s", (host) => {
    for (const tls of [false, true]) {
      expect(() => requireGuards(host, { ...none, tls })).toThrow(ListenError);
      expect(() => requireGuards(host, { ...none, tls })).toThrow(
        new RegExp(`^The host ${host.replace(/[[\].]/g, "\\$&")} is not a loopback .*--insecure-no-auth\\.$`),
      );
    }
  });

  it.each(foreign)("may be %s with access control, with a warning when there is no TLS", (host) => {
    expect(requireGuards(host, { ...none, access: true, tls: true })).toEqual([]);
    expect(requireGuards(host, { ...none, access: true })).toEqual([
      expect.stringMatching(/without TLS: keys and tokens travel in clear text\..*REINS_TLS_CERT/),
    ]);
  });

  it("may be one without access control when that is spelt out, with a warning that says what it means", () => {
    for (const tls of [false, true]) {
      expect(requireGuards("0.0.0.0", { ...none, tls, insecureNoAuth: true })).toEqual([
        expect.stringMatching(
          /^--insecure-no-auth: whoever reaches 0\.0\.0\.0 may read, start, stop and delete everything/,
        ),
      ]);
    }
  });
});

describe("a loopback address", () => {
  it.each(loopback)("needs nothing: %s", (host) => {
    for (const access of [false, true]) expect(requireGuards(host, { ...none, access })).toEqual([]);
    expect(requireGuards(host, { ...none, insecureNoAuth: true })).toEqual([]);
  });
});

it("says that --insecure-no-auth does not turn access control off", () => {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    const warnings = requireGuards(host, { access: true, tls: true, insecureNoAuth: true });
    expect(warnings).toEqual(["--insecure-no-auth does nothing: access control is on."]);
  }
});
