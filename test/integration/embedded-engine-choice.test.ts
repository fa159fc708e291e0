import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../support/embedded-options.ts";

/** Which engine is started, and what a user is told when none can be. The engines here are small scripts. */

let root: string;
let bin: string;
let dataDir: string;
let sentences: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "reins-choice-"));
  bin = join(root, "bin");
  dataDir = join(root, "database");
  sentences = [];
  await mkdir(bin);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function script(name: string, body: string): Promise<string> {
  const path = join(bin, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A start that must fail; resolves to what the user is told. */
async function failure(options: Partial<Parameters<typeof startEmbeddedDatabase>[0]> = {}): Promise<string> {
  const started = startEmbeddedDatabase({
    ...embeddedOptions(dataDir),
    engine: "auto",
    venvDir: join(root, "venv"),
    pathVariable: bin,
    progress: (sentence: string) => sentences.push(sentence),
    ...options,
  });
  return started.then(
    async (database) => {
      await database.stop();
      throw new Error(`${database.engine} was started`);
    },
    (error: Error) => {
      expect(error.name).toBe("DomainError");
      return error.message;
    },
  );
}

/** A data directory as an engine leaves it. */
async function writtenBy(engine: string): Promise<void> {
  await mkdir(join(dataDir, "data"), { recursive: true });
  await writeFile(join(dataDir, "data", "WiredTiger"), "");
  await writeFile(join(dataDir, "engine.json"), JSON.stringify({ engine }));
}

test("with no engine at all, the message names every way to get one", async () => {
  const message = await failure();
  expect(message).toMatch(/MONGODB_URI is not set/);
  expect(message).toMatch(/MongoDB \(mongod\): not on the PATH/);
  expect(message).toMatch(/\(secantusd-rs\): not on the PATH/);
  expect(message).toMatch(/\(secantusd-py\): there is no python3 on the PATH \(3.10 to 3.13 is needed\)/);
  expect(message).toMatch(/docker run .* mongo:8/);
});

test("an engine on the PATH that does not run is passed over with a sentence", async () => {
  await script("mongod", "echo 'libcrypto.so.1.1: cannot open shared object file' >&2; exit 127");
  await script("secantusd-rs", "exec kill -SEGV $$");
  const message = await failure();
  expect(sentences[0]).toMatch(/^Passing over MongoDB \(mongod\): .*mongod does not run \(libcrypto/);
  expect(sentences[1]).toMatch(/^Passing over SecantusDB's Rust server .*secantusd-rs does not run/);
  expect(message).toContain("libcrypto.so.1.1");
});

test("an old mongod is passed over with its version", async () => {
  await script("mongod", "echo 'db version v4.4.29'");
  await failure();
  expect(sentences[0]).toMatch(/mongod is db version v4.4.29, and 5.0 or newer is needed/);
});

test("a named engine that is not there or does not run is an error, not passed over", async () => {
  expect(await failure({ mongodPath: join(bin, "nowhere") })).toMatch(/REINS_MONGOD names .*nowhere, which is not an/);
  const broken = await script("broken", "echo no >&2; exit 1");
  expect(await failure({ secantusdPath: broken })).toMatch(/broken does not run \(no\)\. Put secantusd-rs on the PATH/);
  expect(sentences).toEqual([]);
});

test("an engine that ends instead of serving is told with the end of its log", async () => {
  await script(
    "secantusd-rs",
    'test "$1" = --version && echo 1.0 && exit; echo checking; echo disk is on fire >&2; exit 3',
  );
  const message = await failure({ engine: "secantusd-rs" });
  expect(message).toMatch(/ended with exit code 3\. Its log .*engine\.log ends with:/);
  expect(message).toContain("disk is on fire");
  // A failed start holds nothing and binds nobody to its engine.
  expect(await failure()).toMatch(/ended with exit code 3/);
  expect(await failure({ engine: "mongod" })).toMatch(/mongod\): not on the PATH/);
});

test("data stays with the engine that wrote it", async () => {
  await writtenBy("mongod");
  await script("secantusd-rs", "echo 1.0");
  const message = await failure();
  expect(message).toContain(`The data in ${dataDir} was written by MongoDB (mongod), which cannot be started: not on`);
  expect(message).toContain("move the directory away to start with an empty database");
  expect(await failure({ secantusdPath: join(bin, "secantusd-rs") })).toMatch(
    /was written by MongoDB \(mongod\), and SecantusDB's Rust server \(secantusd-rs\) was asked for/,
  );
});

test("data of a lesser engine is opened with it, even where a better one is there", async () => {
  await writtenBy("secantusd-rs");
  await script("mongod", "echo 'db version v8.0.1'");
  await script("secantusd-rs", 'test "$1" = --version && echo 1.0 && exit; echo the right one; exit 1');
  expect(await failure()).toContain("the right one");
});
