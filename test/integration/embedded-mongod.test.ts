import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Document, MongoClient, MongoServerError } from "mongodb";
import { expect, test } from "vitest";
import { findOnPath } from "../../src/storage/embedded/executables.ts";
import { bringUpReplicaSet } from "../../src/storage/embedded/replica-set.ts";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../support/embedded-options.ts";

/** mongod's part of the start: its replica set, against a scripted mongod, and its flags, with a stand-in binary. */

/** Answers each command with the next thing in its list, the last one for ever; numbers are error codes. */
function scriptedMongod(answers: Record<string, (Document | number)[]>) {
  const sent: Document[] = [];
  const command = async (document: Document): Promise<Document> => {
    sent.push(document);
    const list = answers[Object.keys(document)[0]!]!;
    const answer = list.length > 1 ? list.shift()! : list[0]!;
    if (typeof answer === "number") throw new MongoServerError({ message: `code ${answer}`, code: answer });
    return answer;
  };
  return {
    command,
    sent,
    changes: () => sent.filter((document) => !("hello" in document || "replSetGetStatus" in document)),
  };
}

const becomesPrimary = [{ isWritablePrimary: false }, { isWritablePrimary: false }, { isWritablePrimary: true }];

test("a first start initiates the set and waits for the primary", async () => {
  const { command, changes, sent } = scriptedMongod({
    replSetGetStatus: [94],
    replSetInitiate: [{ ok: 1 }],
    hello: [...becomesPrimary],
  });
  await bringUpReplicaSet(command, "127.0.0.1:4711");
  expect(changes()).toEqual([{ replSetInitiate: { _id: "reins", members: [{ _id: 0, host: "127.0.0.1:4711" }] } }]);
  expect(sent.at(-1)).toEqual({ hello: 1 });
});

test("a later start changes nothing, also when the stored configuration takes a moment", async () => {
  const { command, changes } = scriptedMongod({
    replSetGetStatus: [11600, { myState: 2 }],
    hello: [...becomesPrimary],
  });
  await bringUpReplicaSet(command, "127.0.0.1:4711");
  expect(changes()).toEqual([]);
});

for (const [how, status] of [
  ["removed", { myState: 10 }],
  ["without a valid configuration", 93],
] as const) {
  test(`on another port, where mongod is ${how}, the address in the configuration is corrected`, async () => {
    const config = { _id: "reins", version: 3, term: 8, members: [{ _id: 0, host: "127.0.0.1:1", priority: 1 }] };
    const { command, changes } = scriptedMongod({
      replSetGetStatus: [status],
      replSetGetConfig: [{ config }],
      replSetReconfig: [{ ok: 1 }],
      hello: [...becomesPrimary],
    });
    await bringUpReplicaSet(command, "127.0.0.1:4711");
    expect(changes().at(-1)).toEqual({
      replSetReconfig: { ...config, version: 4, members: [{ _id: 0, host: "127.0.0.1:4711", priority: 1 }] },
      force: true,
    });
  });
}

test("any other failure is the start's failure", async () => {
  const { command } = scriptedMongod({ replSetGetStatus: [94], replSetInitiate: [13], hello: [{}] });
  await expect(bringUpReplicaSet(command, "127.0.0.1:4711")).rejects.toThrow("code 13");
});

const standIn = findOnPath("secantusd-rs", process.env.PATH ?? "");

test.runIf(standIn !== undefined)("mongod is given its port, and the same one again where it is free", async () => {
  const root = await mkdtemp(join(tmpdir(), "reins-mongod-"));
  try {
    const bin = join(root, "bin");
    await mkdir(bin);
    // Understands mongod's flags and speaks the protocol.
    const body = `#!/bin/sh
test "$1" = --version && echo "db version v8.0.4" && exit
while [ $# -gt 0 ]; do
  case "$1" in --port) port=$2 ;; --dbpath) path=$2 ;; --replSet) set=$2 ;; esac
  shift
done
test "$set" = reins || exit 9
echo '{"s":"I","c":"NETWORK","msg":"Waiting for connections","attr":{"port":'$port'}}'
exec ${standIn} --host 127.0.0.1 --port "$port" --storage-path "$path" --sync-on-commit --cache-size 64M --log-file-max 16MB
`;
    await writeFile(join(bin, "mongod"), body);
    await chmod(join(bin, "mongod"), 0o755);
    const options = {
      ...embeddedOptions(join(root, "data")),
      engine: "auto",
      pathVariable: `${bin}:/usr/bin:/bin`,
    } as const;
    const uris: string[] = [];
    for (let n = 1; n <= 2; n++) {
      const database = await startEmbeddedDatabase(options);
      expect(database).toMatchObject({ engine: "mongod", maxPoolSize: 50 });
      uris.push(database.uri);
      const client = new MongoClient(database.uri);
      await client.db("mongod").collection("items").insertOne({ n });
      expect(await client.db("mongod").collection("items").countDocuments()).toBe(n);
      await client.close();
      await database.stop();
    }
    expect(uris[1]).toBe(uris[0]);
    expect(uris[0]).not.toContain("retryWrites");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
