import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { createAccess, inTime } from "../../../src/access/access.ts";
import { accessFile } from "../../../src/access/access-file.ts";
import { makeApiKey } from "../../../src/access/api-keys.ts";
import type { NewEntry } from "../../../src/access/audit.ts";
import { noAudit } from "../../../src/access/audit.ts";
import { anybody, type Presented } from "../../../src/access/identity.ts";
import { silentLog } from "../../support/embedded-options.ts";

const start = new Date("2027-01-01T00:00:00Z");
const newKey = (owner: string) => makeApiKey({ owner, scopes: ["read"], name: owner, createdBy: "root@here" }, start);
const [ann, bea] = [newKey("ann"), newKey("bea")];

function setUp(
  settings: object = {},
  find = async (id: string) => [ann, bea].find(({ record }) => record.id === id)?.record,
) {
  const refused: Omit<NewEntry, "decision">[] = [];
  const { identify } = createAccess({
    settings: z.parse(accessFile, settings),
    keys: { find },
    audit: { ...noAudit, refused: (entry) => void refused.push(entry) },
    now: () => start,
    log: silentLog,
  });
  return { identify: async (presented: Presented) => identify(presented), refused };
}

const presented = (headers: Presented["headers"], target = "/threads?limit=1"): Presented => ({
  method: "GET",
  target,
  requestId: "r1",
  headers,
});

const langSmith = "lsv2_pt_0123456789abcdef";

describe("a key is taken", () => {
  it.each([
    ["as x-api-key", { "x-api-key": ann.key }],
    ["as Authorization: Bearer", { authorization: `Bearer ${ann.key}` }],
    ["whatever the case of Bearer", { authorization: `bearer  ${ann.key}` }],
    ["in both at once", { authorization: `Bearer ${ann.key}`, "x-api-key": ann.key }],
    ["beside a LangSmith key as x-api-key", { authorization: `Bearer ${ann.key}`, "x-api-key": langSmith }],
    ["beside another Authorization", { authorization: "Basic dXNlcjpwYXNz", "x-api-key": ann.key }],
  ])("%s", async (_, headers) => {
    expect(await setUp().identify(presented(headers))).toMatchObject({ owner: "ann", actor: "ann" });
  });
});

describe("nobody passes", () => {
  it.each([
    ["without credentials", {}, /This takes credentials/],
    ["with two different keys", { authorization: `Bearer ${ann.key}`, "x-api-key": bea.key }, /Two API keys are given/],
    ["with a LangSmith key alone", { "x-api-key": langSmith }, /of this kind are not taken/],
    ["with a token where none are taken", { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." }, /are not taken/],
    ["with a key after another word", { authorization: `Basic ${ann.key}` }, /are not taken/],
    ["with a key among others in one header", { authorization: `Bearer ${ann.key}, Bearer ${bea.key}` }, /not taken/],
    ["with two keys in one header", { "x-api-key": `${ann.key}, ${bea.key}` }, /not known/],
    ["with x-api-key twice", { "x-api-key": [ann.key, ann.key] as unknown as string }, /given more than once/],
    ["with an empty key", { "x-api-key": "" }, /are not taken/],
  ])("%s", async (_, headers, sentence) => {
    const { identify, refused } = setUp();
    await expect(identify(presented(headers))).rejects.toMatchObject({
      reason: "UNAUTHENTICATED",
      message: expect.stringMatching(sentence),
      headers: { "www-authenticate": 'Bearer realm="reins"' },
    });
    expect(refused).toMatchObject([{ call: "GET /threads", outcome: "UNAUTHENTICATED", requestId: "r1" }]);
    for (const { key } of [ann, bea]) expect(JSON.stringify(refused)).not.toContain(key.slice(-43));
  });

  it("with a key where the access file takes none", async () => {
    const { identify } = setUp({ api_keys: false });
    await expect(identify(presented({ "x-api-key": ann.key }))).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  });

  it("while the database is away", async () => {
    const { identify, refused } = setUp({}, () => Promise.reject(new Error("away, at mongodb://secret@host")));
    await expect(identify(presented({ "x-api-key": ann.key }))).rejects.toMatchObject({
      reason: "ACCESS_UNAVAILABLE",
      message: "Who calls cannot be found out at the moment; try again.",
      headers: { "retry-after": "1" },
    });
    expect(refused).toMatchObject([{ outcome: "ACCESS_UNAVAILABLE", credential: `key:${ann.record.id}` }]);
  });

  it("while the database does not answer: after five seconds at the latest", async () => {
    vi.useFakeTimers();
    try {
      const { identify } = setUp({}, () => new Promise(() => undefined));
      const asked = identify(presented({ "x-api-key": ann.key }));
      const refused = expect(asked).rejects.toMatchObject({ reason: "ACCESS_UNAVAILABLE" });
      await vi.advanceTimersByTimeAsync(5_000);
      await refused;
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    ["rejects with no error", () => Promise.reject("no error")],
    [
      "throws",
      () => {
        throw new TypeError("a defect");
      },
    ],
  ])("when whoever is to say so %s", async (_, identify) => {
    const asked = inTime(identify, silentLog)(presented({}));
    await expect(asked).rejects.toMatchObject({ reason: "ACCESS_UNAVAILABLE" });
  });

  it("but an answer in time is an answer", async () => {
    expect(await inTime(() => anybody, silentLog)(presented({}))).toBe(anybody);
  });
});

describe("what the audit hears of a refusal", () => {
  it("is bounded, however long the path is that was asked for", async () => {
    const { identify, refused } = setUp();
    await expect(identify(presented({}, `/${"x".repeat(10_000)}`))).rejects.toThrow();
    expect(refused[0]!.call.length).toBeLessThanOrEqual(200);
    expect(refused[0]!.call).toMatch(/^GET \/xxx/);
  });
});
