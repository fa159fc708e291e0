import { randomUUID } from "node:crypto";
import { IfExists } from "../../gen/reins/v1/thread_service_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { type Caller, repeat } from "./creating.ts";
import { machineMs } from "./ledger.ts";
import { isGone } from "./witness.ts";
import type { Graph } from "./works.ts";

export async function newThread(caller: Caller): Promise<string> {
  const threadId = randomUUID();
  await repeat(caller, (member) =>
    caller.witness.ask(member, "CreateThread", ({ threads }, options) =>
      threads.createThread({ threadId, ifExists: IfExists.DO_NOTHING }, options),
    ),
  );
  return threadId;
}

export async function deleteThread(caller: Caller, thread: string): Promise<void> {
  const { witness } = caller;
  const ask = { by: "delete" as const, thread, action: "rollback" as const, sentAt: machineMs() };
  witness.asked.push({ ...ask, isKept: false });
  const answer = await repeat(caller, (member) =>
    witness.ask(member, "DeleteThread", ({ threads }, options) => threads.deleteThread({ threadId: thread }, options)),
  );
  if (answer === undefined) return;
  witness.asked.push({ ...ask, isKept: true });
  for (const work of witness.works)
    if (work.threadId === thread && work.answeredAt !== undefined && work.answeredAt < ask.sentAt)
      witness.tellGone(answer, "cancel", work.answers[0]!);
}

/** Reads what there is, and remembers what it was told. */
export async function look({ witness, anyServer }: Caller, thread: string): Promise<void> {
  const answer = await witness.ask(anyServer(), "ListRuns", ({ runs }, options) =>
    runs.listRuns({ threadId: thread, pageSize: 50 }, options),
  );
  for (const run of answer.value?.runs ?? []) witness.tell(answer, "list", run);
  const [newest] = answer.value?.runs ?? [];
  if (newest === undefined) return;
  const name = { threadId: thread, runId: newest.runId };
  const got = await witness.ask(anyServer(), "GetRun", ({ runs }, options) => runs.getRun(name, options));
  if (got.value) witness.tell(got, "get", got.value.run!);
  if (isGone(got)) witness.tellGone(got, "get", newest.runId);
}

export async function edit({ witness, anyServer }: Caller, thread: string, graph: Graph): Promise<void> {
  const entry = `edit-${randomUUID().slice(0, 8)}`;
  const answer = await witness.ask(anyServer(), "UpdateThreadState", ({ threads }, options) =>
    threads.updateThreadState(
      { threadId: thread, values: toPayload({ log: [entry] }), asNode: "joined", assistantId: graph },
      options,
    ),
  );
  const outcome = answer.isUnsure ? "unsure" : answer.refusal === undefined ? "done" : "refused";
  witness.edits.push({ thread, entry, outcome });
}
