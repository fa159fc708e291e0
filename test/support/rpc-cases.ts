import type { DescMessage, DescMethod, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { CancelAction, MultitaskStrategy } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists, LiveRunStatus, RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { IfExists, PruneStrategy, ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { rpcKey } from "../../src/access/needs.ts";
import { toPayload } from "../../src/client/index.ts";
import type { Names } from "./furnished-owner.ts";

/** A thread of the caller's own, with a run that waits for its time. */
export interface Mine {
  readonly threadId: string;
  readonly runId: string;
}

/** A request that names things, which may be the caller's, another's, or nothing. */
export type RpcCase = (names: Names, mine: Mine) => object;

/** The services that know owners. */
export const ownedServices: readonly DescService[] = [RunService, ThreadService, AssistantService, OperationService];
export const ownedMethods: readonly DescMethod[] = ownedServices.flatMap(({ methods }) => methods);

/** Nobody is to execute anything for whoever asks. */
const after = { seconds: 3_600n };
const waiting = { assistantId: "gated", after };
/** A thread that has runs of its own answers at once. */
const rejecting = { ...waiting, multitaskStrategy: MultitaskStrategy.REJECT };
const ofMark = ({ mark }: Names) => ({ mark });

const table = new Map<string, readonly RpcCase[]>();

function cases<I extends DescMessage>(
  method: DescMethod & { readonly input: I },
  ...all: ((names: Names, mine: Mine) => MessageInitShape<I>)[]
): void {
  table.set(rpcKey(method), all as RpcCase[]);
}

const run = RunService.method;
cases(
  run.createRun,
  ({ threadId }) => ({ threadId, spec: waiting }),
  ({ assistantId }, { threadId }) => ({ threadId, spec: { ...waiting, assistantId } }),
  ({ threadId, live }) => ({ threadId, runId: live, ifNotExists: IfNotExists.CREATE, spec: waiting }),
  ({ live }, { threadId }) => ({ threadId, runId: live, spec: waiting }),
  ({ requestId }, { threadId }) => ({ threadId, requestId, spec: waiting }),
  ({ checkpointId }, { threadId }) => ({ threadId, spec: { ...waiting, checkpointId } }),
  ({ checkpointId }, { threadId }) => ({ threadId, spec: { ...waiting, checkpoint: { checkpointId } } }),
  ({ threadId, live }, mine) => ({
    threadId: mine.threadId,
    spec: waiting,
    parent: { threadId, runId: live },
  }),
  ({ live }, { threadId }) => ({ threadId, spec: waiting, parent: { threadId, runId: live } }),
);
cases(
  run.batchCreateRuns,
  ({ assistantId }) => ({ runs: [{ spec: { ...waiting, assistantId } }] }),
  ({ assistantId }) => ({ runs: [{ spec: waiting }, { spec: { ...waiting, assistantId } }] }),
  ({ requestId }) => ({ requestId, runs: [{ spec: waiting }] }),
  ({ threadId, live }) => ({ runs: [{ spec: waiting, parent: { threadId, runId: live } }] }),
);
cases(
  run.waitRun,
  ({ threadId }) => ({ create: { threadId, spec: rejecting } }),
  ({ assistantId }, { threadId }) => ({ create: { threadId, spec: { ...rejecting, assistantId } } }),
  ({ threadId, live }, mine) => ({
    create: { threadId: mine.threadId, spec: rejecting, parent: { threadId, runId: live } },
  }),
);
cases(
  run.streamRun,
  ({ threadId }) => ({ create: { threadId, spec: rejecting } }),
  ({ assistantId }) => ({ create: { spec: { ...waiting, assistantId } } }),
  ({ threadId, live }) => ({
    create: { threadId, runId: live, ifNotExists: IfNotExists.CREATE, spec: waiting },
  }),
);
cases(
  run.getRun,
  ({ threadId, live }) => ({ threadId, runId: live, includeInput: true }),
  ({ over }, { threadId }) => ({ threadId, runId: over }),
);
cases(
  run.listRuns,
  ({ threadId }) => ({ threadId }),
  (names) => ({ metadata: ofMark(names) }),
  () => ({}),
);
cases(
  run.deleteRun,
  ({ threadId, over }) => ({ threadId, runId: over }),
  ({ threadId, live }) => ({ threadId, runId: live }),
);
cases(
  run.joinRun,
  ({ threadId, over }) => ({ threadId, runId: over }),
  ({ live }, { threadId }) => ({ threadId, runId: live }),
);
cases(
  run.joinRunStream,
  ({ threadId, over }) => ({ threadId, runId: over }),
  ({ threadId, live }) => ({ threadId, runId: live, fromNow: true }),
  ({ checkpointId }, mine) => ({ ...mine, afterCheckpointId: checkpointId }),
);
cases(
  run.cancelRun,
  ({ threadId, live }) => ({ threadId, runId: live, wait: true }),
  ({ threadId, live }) => ({ threadId, runId: live, action: CancelAction.ROLLBACK, wait: true }),
  ({ live }, { threadId }) => ({ threadId, runId: live }),
);
cases(
  run.cancelRuns,
  ({ threadId, live, over }) => ({
    target: { case: "runs" as const, value: { threadId, runIds: [live, over] } },
    wait: true,
  }),
  ({ live }, { threadId }) => ({ target: { case: "runs" as const, value: { threadId, runIds: [live] } } }),
  ({ threadId }) => ({ target: { case: "filter" as const, value: { status: LiveRunStatus.ALL, threadId } } }),
  (names) => ({
    target: { case: "filter" as const, value: { status: LiveRunStatus.ALL, metadata: ofMark(names) } },
    action: CancelAction.ROLLBACK,
  }),
  () => ({ target: { case: "filter" as const, value: { status: LiveRunStatus.ALL } }, action: CancelAction.ROLLBACK }),
  ({ threadId, live }) => ({
    target: { case: "runs" as const, value: { threadId, runIds: [live] } },
    validateOnly: true,
  }),
);

const thread = ThreadService.method;
cases(
  thread.createThread,
  ({ threadId }) => ({ threadId }),
  ({ threadId }) => ({ threadId, ifExists: IfExists.DO_NOTHING }),
);
cases(thread.getThread, ({ threadId }) => ({ threadId }));
cases(
  thread.updateThread,
  ({ threadId }) => ({ threadId, metadata: { changed: true } }),
  ({ threadId }) => ({ threadId, ttl: { seconds: 1n } }),
);
const filters = [
  ({ threadId }: Names) => ({ threadIds: [threadId] }),
  (names: Names) => ({ metadata: ofMark(names) }),
  ({ assistantId }: Names) => ({ assistantId }),
  () => ({ values: { done: 1 } }),
  () => ({ statuses: [ThreadStatus.BUSY] }),
  () => ({}),
];
cases(thread.searchThreads, ...filters.map((filter) => (names: Names) => ({ filter: filter(names) })));
cases(thread.countThreads, ...filters.map((filter) => (names: Names) => ({ filter: filter(names) })));
cases(
  thread.copyThread,
  ({ threadId }) => ({ threadId }),
  ({ threadId }, mine) => ({ threadId: mine.threadId, newThreadId: threadId }),
);
cases(
  thread.pruneThreads,
  ({ threadId }) => ({ threadIds: [threadId], strategy: PruneStrategy.DELETE }),
  ({ threadId }, mine) => ({ threadIds: [threadId, mine.threadId], strategy: PruneStrategy.KEEP_LATEST }),
);
cases(thread.deleteThread, ({ threadId }) => ({ threadId }));
cases(
  thread.getThreadState,
  ({ threadId }) => ({ threadId }),
  ({ threadId, checkpointId }) => ({ threadId, checkpointId, subgraphs: true }),
  ({ checkpointId }, { threadId }) => ({ threadId, checkpointId }),
  ({ checkpointId }, { threadId }) => ({ threadId, checkpoint: { checkpointId } }),
);
const values = toPayload({ log: ["edited"] });
cases(
  thread.updateThreadState,
  ({ threadId }) => ({ threadId, values }),
  ({ threadId, checkpointId }) => ({ threadId, values, checkpoint: { checkpointId }, assistantId: "gated" }),
  ({ assistantId }, { threadId }) => ({ threadId, values, assistantId }),
);
cases(
  thread.listThreadHistory,
  ({ threadId }) => ({ threadId }),
  ({ checkpointId }, { threadId }) => ({ threadId, beforeCheckpointId: checkpointId }),
);

const assistant = AssistantService.method;
cases(
  assistant.createAssistant,
  ({ assistantId }) => ({ assistantId, graphId: "gated" }),
  ({ assistantId }) => ({ assistantId, graphId: "gated", ifExists: IfExists.DO_NOTHING }),
);
cases(assistant.getAssistant, ({ assistantId }) => ({ assistantId }));
cases(assistant.updateAssistant, ({ assistantId }) => ({ assistantId, name: "changed" }));
cases(assistant.deleteAssistant, ({ assistantId }) => ({ assistantId }));
const assistantFilters = [
  (names: Names) => ({ filter: { metadata: ofMark(names) } }),
  () => ({ filter: { graphId: "gated" } }),
  () => ({}),
];
cases(assistant.searchAssistants, ...assistantFilters);
cases(assistant.countAssistants, ...assistantFilters);
cases(assistant.getAssistantGraph, ({ assistantId }) => ({ assistantId }));
cases(assistant.getAssistantSchemas, ({ assistantId }) => ({ assistantId }));

cases(
  OperationService.method.retryWebhook,
  ({ threadId, over }) => ({ threadId, runId: over }),
  ({ over }, { threadId }) => ({ threadId, runId: over }),
);

/** Requests of each RPC, by its key in the table of what calls need. The first asks for what its owner is answered otherwise. */
export const rpcCases: ReadonlyMap<string, readonly RpcCase[]> = table;
