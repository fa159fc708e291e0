import { describe, expect, it } from "vitest";
import { readHostRule } from "../../../src/webhooks/host-rule.ts";
import { createReceiverRules, type ReceiverRulesOptions } from "../../../src/webhooks/receiver-rules.ts";
import { privateHosts, publicHosts, spellings } from "../../support/private-spellings.ts";

interface Lists extends Partial<Pick<ReceiverRulesOptions, "httpsOnly" | "loopback">> {
  readonly allow?: readonly string[];
  readonly only?: readonly string[];
}

function rules({ allow = [], only, httpsOnly = false, loopback = false }: Lists = {}) {
  const read = (texts: readonly string[]) => texts.map((text) => readHostRule(text)!);
  return createReceiverRules({ allow: read(allow), only: only && read(only), httpsOnly, loopback });
}
const refusals = (lists: Lists, urls: readonly string[]) => {
  const { refusalOf } = rules(lists);
  return urls.map((url) => refusalOf(new URL(url)));
};
const http = (hosts: readonly string[]) => hosts.map((host) => `http://${host}:8080/hook`);
const notPublic = "must lead to a public address";
const thisMachine = Object.values(spellings).flat();

describe("where webhooks may go", () => {
  it.each(http([...thisMachine, ...privateHosts]))("not to %s, once callers may be anywhere", (url) => {
    expect(refusals({}, [url])).toEqual([notPublic]);
  });

  it.each(http(thisMachine))("to %s, as long as everybody is on this machine", (url) => {
    expect(refusals({ loopback: true }, [url])).toEqual([undefined]);
  });

  it.each(http(privateHosts))("not to %s even then", (url) => {
    expect(refusals({ loopback: true }, [url])).toEqual([notPublic]);
  });

  it.each(http(publicHosts))("to %s always", (url) => {
    expect(refusals({}, [url])).toEqual([undefined]);
  });

  it("to what is listed, at the port that is listed with it", () => {
    const allow = ["127.0.0.0/8:8080", "[fd00::/8]", "10.0.0.1"];
    const let_in = [...spellings.ipv4, ...spellings.mapped, "localhost", "[fd12::1]", "10.0.0.1", "[::ffff:10.0.0.1]"];
    expect(refusals({ allow }, http(let_in))).toEqual(let_in.map(() => undefined));
    const others = ["http://127.0.0.1:8081", "http://localhost/", "http://[::1]:8080", "http://10.0.0.2:8080"];
    expect(refusals({ allow }, others)).toEqual(others.map(() => notPublic));
  });

  it("to a name that is listed, whatever it leads to, and to no other name that leads there", () => {
    const { mayConnect, refusalOf } = rules({ allow: ["hooks.internal:8080", "localhost"] });
    expect(mayConnect("hooks.internal", 8080, "10.0.0.1")).toBe(true);
    expect(mayConnect("HOOKS.internal.", 8080, "10.0.0.1")).toBe(true);
    expect(mayConnect("hooks.internal", 443, "10.0.0.1")).toBe(false);
    expect(mayConnect("other.internal", 8080, "10.0.0.1")).toBe(false);
    expect(refusalOf(new URL("http://localhost:9999"))).toBeUndefined();
    expect(mayConnect("localhost", 9999, "127.0.0.1")).toBe(true);
    expect(mayConnect("a.localhost", 9999, "127.0.0.1")).toBe(false);
  });

  it("to no address that is none", () => {
    expect(rules({ allow: ["a.example"], loopback: true }).mayConnect("a.example", 80, "127.1")).toBe(false);
  });

  it("only to the hosts that are listed as the only ones, which must be public or allowed as well", () => {
    const only = ["hooks.example", "*.hooks.example:8443", "10.0.0.0/8", "8.8.8.8"];
    const not = "must name one of the hosts that webhooks may call";
    expect(
      refusals({ only, allow: ["10.0.0.1"] }, [
        "https://hooks.example/a",
        "https://hooks.example./a",
        "https://a.hooks.example:8443/",
        "https://8.8.8.8/",
        "https://10.0.0.1/",
        "https://10.0.0.2/",
        "https://a.hooks.example/",
        "https://other.example/",
        "https://8.8.4.4/",
        "http://localhost/",
      ]),
    ).toEqual([undefined, undefined, undefined, undefined, undefined, notPublic, not, not, not, not]);
  });

  it("by https alone, if that is set", () => {
    const urls = ["http://a.example/", "https://a.example/"];
    expect(refusals({ httpsOnly: true }, urls)).toEqual(["must begin with https://", undefined]);
    expect(refusals({}, urls)).toEqual([undefined, undefined]);
  });

  it("to no port where another protocol is at home, unless it is listed with its host", () => {
    const urls = ["http://a.example:25/", "http://a.example:443/", "https://a.example:80/", "http://a.example:1024/"];
    const not = "must not use the port 25: of those below 1024 only 80 and 443 are for webhooks";
    expect(refusals({}, urls)).toEqual([not, undefined, undefined, undefined]);
    expect(refusals({ loopback: true }, ["http://127.0.0.1:25/"])).toEqual([not]);
    for (const listed of [{ allow: ["a.example:25"] }, { only: ["a.example:25"] }]) {
      expect(refusals(listed, ["http://a.example:25/"])).toEqual([undefined]);
    }
    expect(refusals({ allow: ["a.example", "b.example:25"] }, ["http://a.example:25/"])).toEqual([not]);
  });
});
