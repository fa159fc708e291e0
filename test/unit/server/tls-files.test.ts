import { rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTls, type TlsContext } from "../../../src/server/tls-files.ts";
import {
  type Authority,
  createAuthority,
  createTlsFolder,
  localNames,
  type Pair,
  type TlsFolder,
} from "../../support/certificates.ts";
import { until } from "../../support/gates.ts";

const day = 24 * 3_600_000;
let authority: Authority;
let pair: Pair;
let other: Pair;
beforeAll(async () => {
  authority = await createAuthority();
  [pair, other] = await Promise.all([authority.issue(localNames), authority.issue(localNames)]);
});

let folder: TlsFolder;
let told: [string, string][];
let log: Parameters<typeof openTls>[1]["log"];
beforeEach(() => {
  folder = createTlsFolder({ ...pair, clientCa: authority.ca });
  told = [];
  log = keeping(told);
});
afterEach(() => folder.remove());

/** Keeps what is said: what a look says that was under way when its test ended is not the next one's. */
const keeping = (lines: typeof told) =>
  Object.fromEntries(
    ["info", "warn", "error"].map((level) => [
      level,
      (first: unknown, text?: string) => lines.push([level, text ?? String(first)]),
    ]),
  ) as unknown as typeof log;
const sentences = (level: string) => told.flatMap(([each, sentence]) => (each === level ? [sentence] : []));

describe("the files of TLS", () => {
  it("say what a connection is encrypted with, and until when", async () => {
    const { context } = await openTls(folder.files, { log });
    expect(context).toEqual({ ...pair, ca: [expect.stringContaining("BEGIN CERTIFICATE")], minVersion: "TLSv1.2" });
    expect(told).toEqual([["info", expect.stringMatching(/^The TLS certificate is good until 20\d\d-\S+Z\.$/)]]);
    const { clientCa: _, ...files } = folder.files;
    expect((await openTls(files, { log })).context).not.toHaveProperty("ca");
  });

  it.each([
    [
      "a certificate that is not there",
      () => rmSync(folder.files.cert),
      /^The TLS file \S+cert\.pem cannot be read \(ENOENT\)\.$/,
    ],
    [
      "a certificate that is none",
      () => folder.write({ cert: "x" }),
      /^There is no certificate in the TLS file \S+cert\.pem\.$/,
    ],
    [
      "a certificate that is broken",
      () => folder.write({ cert: pair.cert.replace(/\n.{8}/, "\nAAAAAAAA") }),
      /^A certificate in the TLS file \S+cert\.pem cannot be read: /,
    ],
    ["a key that is none", () => folder.write({ key: "x" }), /^The TLS key \S+key\.pem is none: /],
    [
      "the key of another certificate",
      () => folder.write({ key: other.key }),
      /^The TLS key \S+key\.pem is not that of the certificate \S+cert\.pem\.$/,
    ],
    [
      "authorities without any",
      () => folder.write({ clientCa: "" }),
      /^There is no certificate in the TLS file \S+clientCa\.pem\.$/,
    ],
    [
      "authorities of which one is broken",
      () => folder.write({ clientCa: `${authority.ca}\n${authority.ca.replace(/\n.{8}/, "\nAAAAAAAA")}` }),
      /^A certificate in the TLS file \S+clientCa\.pem cannot be read: /,
    ],
  ])("are refused with a sentence for %s", async (_, spoil, sentence) => {
    spoil();
    await expect(openTls(folder.files, { log })).rejects.toThrow(sentence);
    await expect(openTls(folder.files, { log })).rejects.toThrow(expect.not.stringContaining("PRIVATE"));
  });

  it("are looked at again and again until the signal aborts", async () => {
    const tls = await openTls(folder.files, { log, lookMs: 5 });
    const applied: TlsContext[] = [];
    const stop = new AbortController();
    tls.follow((context) => applied.push(context), stop.signal);
    folder.write(other);
    await until(async () => applied.at(-1)?.cert === other.cert && applied.at(-1)?.key === other.key);
    expect(sentences("info").at(-1)).toMatch(/^The TLS certificate was replaced; the new one is good until /);
    folder.write({ clientCa: (await createAuthority()).ca });
    const { length } = applied;
    await until(async () => applied.length > length);
    stop.abort();
  });

  it("that are no good any more are told of once, and the former ones stay", async () => {
    const tls = await openTls(folder.files, { log });
    const applied: TlsContext[] = [];
    tls.follow((context) => applied.push(context), AbortSignal.abort());
    folder.write({ key: other.key });
    for (let looks = 0; looks < 3; looks += 1) await tls.look();
    rmSync(folder.files.cert);
    for (let looks = 0; looks < 3; looks += 1) await tls.look();
    expect(sentences("error")).toEqual([
      expect.stringMatching(/is not that of the certificate \S+ The former certificate and key stay in use\.$/),
      expect.stringMatching(/cannot be read \(ENOENT\)\. The former certificate and key stay in use\.$/),
    ]);
    expect(applied).toEqual([]);
    expect(tls.context).toMatchObject(pair);
    writeFileSync(folder.files.cert, other.cert);
    await tls.look();
    expect(tls.context).toMatchObject(other);
    expect(applied).toHaveLength(1);
  });

  it("are warned of once a day from 14 days before the end on", async () => {
    let now = Date.now();
    const end = now + 20 * day;
    folder.write(await authority.issue(localNames, { until: end }));
    const tls = await openTls(folder.files, { log, now: () => now });
    const lookAt = async (time: number) => {
      now = time;
      await tls.look();
      return [sentences("warn").length, sentences("error").length];
    };
    expect(await lookAt(end - 15 * day)).toEqual([0, 0]);
    expect(await lookAt(end - 13 * day)).toEqual([1, 0]);
    expect(await lookAt(end - 12.5 * day)).toEqual([1, 0]);
    expect(await lookAt(end - 11.9 * day)).toEqual([2, 0]);
    expect(await lookAt(end + day)).toEqual([2, 1]);
    expect(sentences("warn")[0]).toMatch(/^The TLS certificate expires on .*; replace it before\.$/);
    expect(sentences("error")[0]).toMatch(/^The TLS certificate has expired on /);
  });
});
