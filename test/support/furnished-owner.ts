import { randomUUID } from "node:crypto";
import type { ReinsClient } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "./run-kit.ts";

/** Names of what an owner has, as calls give them. */
export interface Names {
  readonly threadId: string;
  /** A run that executes, and one that is over. */
  readonly live: string;
  readonly over: string;
  readonly assistantId: string;
  /** What the run left that is over. */
  readonly checkpointId: string;
  /** Under which that run was created. */
  readonly requestId: string;
  /** In the metadata of all of it. */
  readonly mark: string;
  /** Of an item in long-term memory: its namespace's last label, and its key. */
  readonly label: string;
  readonly itemKey: string;
}

/** Names of the same form that name nothing. */
export const newNames = (): Names => ({
  threadId: randomUUID(),
  live: randomUUID(),
  over: randomUUID(),
  assistantId: randomUUID(),
  checkpointId: randomUUID(),
  requestId: randomUUID(),
  mark: randomUUID(),
  label: randomUUID(),
  itemKey: randomUUID(),
});

export interface FurnishedOwner extends Names {
  readonly kit: RunKit;
}

/** One of everything that an owner can have. */
export async function furnish(client: ReinsClient, url: string, key: string): Promise<FurnishedOwner> {
  const { requestId, mark, label, itemKey } = newNames();
  const metadata = { mark };
  const { assistantId } = (await client.assistants.createAssistant({ graphId: "gated", metadata })).assistant!;
  const kit = await createRunKit({ client });
  const { threadId } = kit;
  await client.threads.updateThread({ threadId, metadata });
  const spec = kit.spec({ steps: ["a"] }, { assistantId, metadata });
  const { runId: over } = (await client.runs.createRun({ threadId, requestId, spec })).run!;
  await kit.gates.started("a");
  kit.gates.open("a");
  await kit.join(over);
  const { checkpointId } = (await kit.state()).checkpoint!;
  const { runId: live } = await kit.start({ steps: ["b"] }, { assistantId, metadata });
  await kit.gates.started("b");
  const put = await fetch(`${url}/store/items`, {
    method: "PUT",
    headers: { "x-api-key": key, "content-type": "application/json" },
    body: JSON.stringify({ namespace: ["notes", label], key: itemKey, value: { mark } }),
  });
  if (!put.ok) throw new Error(await put.text());
  return { threadId, live, over, assistantId, checkpointId, requestId, mark, label, itemKey, kit };
}
