import { setTimeout as sleep } from "node:timers/promises";
import { type Document, MongoClient, MongoServerError } from "mongodb";
import { replicaSetName } from "./engines.ts";

/** Runs a command on mongod's admin database. */
export type AdminCommand = (command: Document) => Promise<Document>;

const primaryLimitMs = 60_000;
const codes = { NotYetInitialized: 94, InvalidReplicaSetConfig: 93, AlreadyInitialized: 23 };

/** Makes the mongod at this address a replica set of one and resolves when it takes writes. */
export async function ensureReplicaSet(uri: string, port: number): Promise<void> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: primaryLimitMs, maxPoolSize: 1 });
  try {
    await bringUpReplicaSet((command) => client.db("admin").command(command), `127.0.0.1:${port}`);
  } finally {
    await client.close();
  }
}

/**
 * Change streams, majority writes and retried writes need a replica set, so mongod runs as one with a single member.
 * A first start initiates it. Later ones find it; if the port has changed, mongod does not recognise itself in the
 * stored configuration and is given a corrected one: by force, since a set without its member has no primary to ask,
 * and without risk, since there is no other member.
 */
export async function bringUpReplicaSet(command: AdminCommand, host: string): Promise<void> {
  const state = await memberState(command);
  if (state === "uninitiated") {
    const config = { _id: replicaSetName, members: [{ _id: 0, host }] };
    await command({ replSetInitiate: config }).catch((error: unknown) => {
      if (!hasCode(error, codes.AlreadyInitialized)) throw error;
    });
  } else if (state === "stranger") {
    const { config } = await command({ replSetGetConfig: 1 });
    const corrected = { ...config, version: config.version + 1, members: [{ ...config.members[0], host }] };
    await command({ replSetReconfig: corrected, force: true });
  }
  await untilPrimary(command);
}

async function memberState(command: AdminCommand): Promise<"uninitiated" | "stranger" | "member"> {
  // Right after the start the stored configuration may still be loading; then `hello` says so and the status throws.
  const end = performance.now() + primaryLimitMs;
  for (;;) {
    try {
      const status = await command({ replSetGetStatus: 1 });
      const removed = 10;
      if (status.myState === removed) return "stranger";
      return "member";
    } catch (error) {
      if (hasCode(error, codes.NotYetInitialized)) return "uninitiated";
      if (hasCode(error, codes.InvalidReplicaSetConfig)) return "stranger";
      if (!(error instanceof MongoServerError) || performance.now() >= end) throw error;
    }
    await sleep(100);
  }
}

async function untilPrimary(command: AdminCommand): Promise<void> {
  const end = performance.now() + primaryLimitMs;
  for (;;) {
    const hello = await command({ hello: 1 });
    if (hello.isWritablePrimary === true) return;
    if (performance.now() >= end) throw new Error(`mongod did not become primary within ${primaryLimitMs / 1000} s`);
    await sleep(50);
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code;
}
