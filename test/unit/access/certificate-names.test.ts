import { describe, expect, it } from "vitest";
import { namesOf } from "../../../src/access/certificates.ts";

describe("the names of a certificate", () => {
  it.each([
    ["DNS:a.example", ["a.example"]],
    ["DNS:a.example, URI:spiffe://acme/x", ["spiffe://acme/x", "a.example"]],
    ["IP Address:10.0.0.1, email:a@b.example, DNS:a.example", ["a.example"]],
    ['DNS:"a, URI:spiffe://acme/x"', ["a, URI:spiffe://acme/x"]],
    [String.raw`DNS:"a\", URI:spiffe://acme/x", DNS:b`, ['a", URI:spiffe://acme/x', "b"]],
    [String.raw`URI:"http://a\u002c URI:spiffe://acme/x"`, ["http://a, URI:spiffe://acme/x"]],
    ["", []],
  ])("are the URIs and then the DNS names of %s", (text, names) => {
    expect(namesOf(text)).toEqual(names);
  });

  it.each([
    'DNS:"a, URI:spiffe://acme/x',
    'DNS:a", URI:spiffe://acme/x',
    "DNS:a,URI:spiffe://acme/x",
    "DNS:a, b",
    "DNS:a; URI:spiffe://acme/x,",
  ])("are none where the text cannot be read whole: %s", (text) => {
    expect(namesOf(text)).toEqual([]);
  });
});
