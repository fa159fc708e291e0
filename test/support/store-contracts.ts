import type { Db } from "mongodb";
import type { Stores } from "../../src/storage/stores.ts";
import { describeApiKeys, describeAudit } from "./access-contract.ts";
import { describeAssistants } from "./assistant-contract.ts";
import { describeBatches } from "./batch-contract.ts";
import { describeRunEvents } from "./event-contract.ts";
import { describeItems } from "./item-contract.ts";
import { describeJournal } from "./journal-contract.ts";
import { describeJournalDeletions } from "./journal-deletion-contract.ts";
import { describeJournalPruning } from "./journal-pruning-contract.ts";
import { describeJournalSlots } from "./journal-slot-contract.ts";
import { describeJournalWriters } from "./journal-writer-contract.ts";
import { describeRequests } from "./request-contract.ts";
import { describeRunLists } from "./run-list-contract.ts";
import { describeServers } from "./server-contract.ts";
import { openStores } from "./stores.ts";
import { describeThreads } from "./thread-contract.ts";
import { describeThreadLists } from "./thread-list-contract.ts";
import { describeWebhooks } from "./webhook-contract.ts";
import { describeWebhookSecrets } from "./webhook-secret-contract.ts";

/** Their contracts ask for more than a database: see lane-contract.ts and nudge-contract.ts. */
type Elsewhere = "lanes" | "nudges";

/**
 * Holds each store against its contract, and the checkpoints' journal. All are given the same database, whose engine may be any.
 */
export function describeStores(which: string, openDb: () => Promise<Db>): void {
  const open = async (options = {}) => openStores(await openDb(), options);
  const contracts: Record<Exclude<keyof Stores, Elsewhere> | "journal", () => void> = {
    // Besides records (run-contract.ts) and what lies apart of them (spec-contract.ts).
    runs: () => describeRunLists(which, openDb),
    threads() {
      describeThreads(which, open);
      describeThreadLists(which, openDb);
    },
    events: () => describeRunEvents(which, async () => (await open()).events),
    requests: () => describeRequests(which, async () => (await open()).requests),
    batches: () => describeBatches(which, open),
    webhooks: () => describeWebhooks(which, open),
    webhookSecrets: () => describeWebhookSecrets(which, openDb),
    servers: () => describeServers(which, open),
    assistants: () => describeAssistants(which, async () => (await open()).assistants),
    items: () => describeItems(which, open),
    apiKeys: () => describeApiKeys(which, async () => (await open()).apiKeys),
    audit: () => describeAudit(which, open),
    journal() {
      describeJournalSlots(which, openDb);
      describeJournalWriters(which, openDb);
      describeJournal(which, openDb);
      describeJournalDeletions(which, openDb);
      describeJournalPruning(which, openDb);
    },
  };
  for (const describeStore of Object.values(contracts)) describeStore();
}
