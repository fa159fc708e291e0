import type { Db } from "mongodb";
import type { LeaseStore, RequestStore, RunStore, ThreadStore, WebhookStore } from "../domain/stores.ts";
import { collections } from "./collections.ts";
import { createIndexes } from "./indexes.ts";
import { createLeaseStore } from "./lease-store.ts";
import { createRequestStore } from "./request-store.ts";
import { createRunEventStore, type RunEventStore } from "./run-events.ts";
import { createRunStore } from "./run-store.ts";
import { createServerStore, type ServerStore } from "./servers.ts";
import { createThreadStore } from "./thread-store.ts";
import { createWebhookStore } from "./webhook-store.ts";

/** All that is stored, but for the checkpoints' journal. */
export interface Stores {
  readonly runs: RunStore;
  readonly leases: LeaseStore;
  readonly threads: ThreadStore;
  readonly events: RunEventStore;
  readonly servers: ServerStore;
  readonly webhooks: WebhookStore;
  readonly requests: RequestStore;
}

/** Opens the stores; creates their indexes where they are missing. */
export async function openStores(db: Db): Promise<Stores> {
  await createIndexes(db);
  const all = collections(db);
  return {
    runs: createRunStore(all),
    leases: createLeaseStore(all),
    threads: createThreadStore(all),
    events: createRunEventStore(all),
    servers: createServerStore(all),
    webhooks: createWebhookStore(all),
    requests: createRequestStore(all),
  };
}
