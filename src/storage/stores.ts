import type { Db } from "mongodb";
import type { ApiKeyStore, AuditStore } from "../domain/access-ports.ts";
import type {
  AssistantStore,
  BatchStore,
  ItemStore,
  Lanes,
  NudgeStore,
  RequestStore,
  RunEventStore,
  RunStore,
  ServerStore,
  ThreadStore,
  WebhookSecretStore,
  WebhookStore,
} from "../domain/ports.ts";
import { createApiKeyStore } from "./api-key-store.ts";
import { createAssistantStore } from "./assistant-store.ts";
import { createAuditStore } from "./audit-store.ts";
import { createBatchStore } from "./batch-store.ts";
import { collections } from "./collections.ts";
import { createIndexes } from "./indexes.ts";
import { createItemStore } from "./item-store.ts";
import { createLanes } from "./lanes.ts";
import { createNudgeStore } from "./nudge-store.ts";
import { createRequestStore } from "./request-store.ts";
import { createRunEventStore } from "./run-events.ts";
import { keepForEver, type Retention } from "./run-expiry.ts";
import { createRunStore } from "./run-store.ts";
import { createServerStore } from "./servers.ts";
import { createThreadStore } from "./thread-store.ts";
import { createWebhookSecretStore } from "./webhook-secret-store.ts";
import { createWebhookStore } from "./webhook-store.ts";

/** All that is stored, but for the checkpoints' journal. */
export interface Stores {
  readonly runs: RunStore;
  readonly lanes: Lanes;
  readonly threads: ThreadStore;
  readonly events: RunEventStore;
  readonly requests: RequestStore;
  readonly servers: ServerStore;
  readonly nudges: NudgeStore;
  readonly assistants: AssistantStore;
  readonly webhooks: WebhookStore;
  readonly webhookSecrets: WebhookSecretStore;
  readonly batches: BatchStore;
  readonly items: ItemStore;
  readonly apiKeys: ApiKeyStore;
  readonly audit: AuditStore;
}

/** The same database over connections for one purpose each. */
export interface OwnConnections {
  readonly eventWritesDb?: Db;
  readonly listsDb?: Db;
  readonly leaseDb?: Db;
  /** Without it nothing is watched: a waiting change stream occupies a connection. */
  readonly changeStreamDb?: Db;
}

export interface StoresOptions extends Partial<Retention> {
  /** The database's time, as well as it is known here. */
  readonly now: () => Date;
  /** It is reached through a router, which brings a command to several shards. */
  readonly isSharded?: boolean;
  /** How long an entry of the audit is kept; 0, as by default: for ever. */
  readonly auditTtlMs?: number;
  /** Throws when servers of this version cannot live with the database any more; nothing is looked at without it. */
  readonly requireSchema?: () => Promise<void>;
}

/** Opens the stores; creates their indexes where they are missing. By default no run expires. */
export async function openStores(db: Db, options: StoresOptions, own: OwnConnections = {}): Promise<Stores> {
  await createIndexes(db);
  const all = collections(db);
  const listed = collections(own.listsDb ?? db);
  const { now, isSharded, requireSchema } = options;
  return {
    runs: createRunStore(all, { ...keepForEver, ...options }, listed, isSharded),
    lanes: createLanes(all, now, isSharded),
    threads: createThreadStore(all, listed, now),
    events: createRunEventStore(all, now, collections(own.eventWritesDb ?? db).runEvents),
    requests: createRequestStore(all, now),
    servers: createServerStore(all, now, collections(own.leaseDb ?? db).servers, requireSchema),
    // Asked for when something is watched, so that a server that is alone does not connect for it.
    nudges: createNudgeStore(all, () => own.changeStreamDb && collections(own.changeStreamDb).nudges),
    assistants: createAssistantStore(all),
    webhooks: createWebhookStore(all, now),
    webhookSecrets: createWebhookSecretStore(all, now),
    batches: createBatchStore(all),
    items: createItemStore(all, now),
    apiKeys: createApiKeyStore(all),
    audit: createAuditStore(all, now, options.auditTtlMs ?? 0),
  };
}
