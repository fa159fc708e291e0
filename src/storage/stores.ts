import type { Db } from "mongodb";
import type {
  AssistantStore,
  BatchStore,
  ItemStore,
  LeaseStore,
  RequestStore,
  RunEventStore,
  RunStore,
  ServerStore,
  ThreadStore,
  WebhookStore,
} from "../domain/ports.ts";
import { createAssistantStore } from "./assistant-store.ts";
import { createBatchStore } from "./batch-store.ts";
import { collections } from "./collections.ts";
import { createIndexes } from "./indexes.ts";
import { createItemStore } from "./item-store.ts";
import { createLeaseStore } from "./lease-store.ts";
import { createRequestStore } from "./request-store.ts";
import { createRunEventStore } from "./run-events.ts";
import { keepForEver, type RetentionOptions } from "./run-expiry.ts";
import { createRunStore } from "./run-store.ts";
import { createServerStore } from "./servers.ts";
import { createThreadStore } from "./thread-store.ts";
import { createWebhookStore } from "./webhook-store.ts";

/** All that is stored, but for the checkpoints' journal. */
export interface Stores {
  readonly runs: RunStore;
  readonly leases: LeaseStore;
  readonly threads: ThreadStore;
  readonly events: RunEventStore;
  readonly requests: RequestStore;
  readonly servers: ServerStore;
  readonly assistants: AssistantStore;
  readonly webhooks: WebhookStore;
  readonly batches: BatchStore;
  readonly items: ItemStore;
}

/** Opens the stores; creates their indexes where they are missing. By default nothing expires. */
export async function openStores(
  db: Db,
  retention: Partial<RetentionOptions> = {},
  { eventWritesDb = db, listsDb = db }: { readonly eventWritesDb?: Db; readonly listsDb?: Db } = {},
): Promise<Stores> {
  await createIndexes(db);
  const all = collections(db);
  const listed = collections(listsDb);
  const options = { ...keepForEver, ...retention };
  return {
    runs: createRunStore(all, options, listed),
    leases: createLeaseStore(all),
    threads: createThreadStore(all, options.now, listed),
    events: createRunEventStore(all, collections(eventWritesDb).runEvents),
    requests: createRequestStore(all),
    servers: createServerStore(all),
    assistants: createAssistantStore(all),
    webhooks: createWebhookStore(all),
    batches: createBatchStore(all),
    items: createItemStore(all, options.now),
  };
}
