import { MongoClient, MongoServerError } from "mongodb";
import { engineUser } from "./engines.ts";

const userExists = 51_003;
const limitMs = 60_000;

/**
 * Makes the engine's only user, or gives it this key. `uri` is that of an engine that serves without credentials: the Python
 * server knows no first user that may be made without any, and a key that was lost can be replaced in no other way.
 */
export async function ensureUser(uri: string, key: string): Promise<void> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: limitMs, maxPoolSize: 1 });
  const admin = client.db("admin");
  try {
    await admin.command({ createUser: engineUser, pwd: key, roles: ["root"] }).catch(async (error: unknown) => {
      if (!(error instanceof MongoServerError) || error.code !== userExists) throw error;
      await admin.command({ updateUser: engineUser, pwd: key });
    });
  } finally {
    await client.close();
  }
}
