import type { ResolveAssistant, ResolvedAssistant } from "../assistants.ts";
import { checkMetadata } from "../check-metadata.ts";
import { DomainError } from "../errors.ts";
import { newId } from "../ids.ts";
import { checkpointNotFound, threadNotFound } from "../not-found.ts";
import type { RunStore } from "../ports.ts";
import type { Thread, ThreadName } from "../thread.ts";
import { hasAnswer } from "./check-command.ts";
import { checkNodes, type GraphNodes } from "./check-nodes.ts";
import { checkSpec, type SpecRules } from "./check-spec.ts";
import { type FindCheckpoint, namedCheckpoint, requireCheckpoint, requireGraph } from "./checkpoints.ts";
import type { ChildRuns } from "./child-runs.ts";
import type { NewRun } from "./new-run.ts";
import { refusalOfAnswer } from "./open-questions.ts";
import type { Run, RunName } from "./run.ts";
import type { RunLimits } from "./run-limits.ts";
import { checkThreadFields } from "./stateless-run.ts";
import { runExists, type StoreRun } from "./store-run.ts";

export interface CreateRunParts extends SpecRules {
  readonly runs: Pick<RunStore, "findMany">;
  readonly findThread: (name: ThreadName) => Promise<Thread | undefined>;
  readonly storeRun: StoreRun;
  /** The graph's name for an assistant; throws GRAPH_NOT_FOUND, ASSISTANT_NOT_FOUND or GRAPH_UNAVAILABLE. */
  readonly resolveAssistant: ResolveAssistant;
  readonly findCheckpoint: FindCheckpoint;
  /** The nodes of a graph; undefined when it is made anew for each run. */
  readonly nodesOf: (graph: string) => GraphNodes | undefined;
  readonly limits: RunLimits;
  readonly children: Pick<ChildRuns, "parentOf">;
  /** The time by the database's clock. */
  readonly now: () => Date;
}

export type CreateRun = (request: NewRun) => Promise<Run>;

/** The run's record as it would be stored. Throws what refuses the request; nothing is changed by it. */
export type PrepareRun = (request: NewRun) => Promise<Run>;

/** Creates runs: checks what is asked for, and has it stored. Nothing is stored when it throws. */
export function createCreateRun(parts: CreateRunParts): { create: CreateRun; prepare: PrepareRun } {
  const { runs, findThread } = parts;

  async function check(request: NewRun): Promise<ResolvedAssistant> {
    const resolved = await parts.resolveAssistant(request.spec.assistantId, request.owner);
    checkSpec(request.spec, resolved.assistant, parts);
    checkThreadFields(request);
    const { caller } = request.spec;
    if (caller) checkMetadata(caller.threadMetadata, "spec.metadata", parts.maxMetadataBytes);
    checkNodes(request.spec, resolved.graph, parts.nodesOf(resolved.graph));
    await checkStart(request, resolved.graph);
    if (request.isChosenId && (await isTaken(request))) throw runExists(request);
    await checkAnswer(request);
    return resolved;
  }

  /**
   * Refuses an answer to a question that is not open, as far as that is certain: while a run is live, or before its own time has
   * come, what will be open then is not known, and its execution looks. What the thread remembers must be of its newest checkpoint.
   */
  async function checkAnswer(request: NewRun): Promise<void> {
    const { spec, threadId } = request;
    const answer = spec.command?.resume;
    if (!spec.strictResume || !hasAnswer(answer) || spec.afterMs !== undefined) return;
    const thread = await findThread(request);
    if (!thread && !request.createThread) throw threadNotFound(threadId);
    const start = namedCheckpoint(spec)?.name;
    if (thread?.status === "busy" || (start && start.checkpointId !== thread?.state?.checkpointId)) return;
    const refusal = refusalOfAnswer(answer, thread?.state?.interrupts.map(({ id }) => id) ?? []);
    if (refusal === undefined) return;
    const newest = thread && (await parts.findCheckpoint(thread, { checkpointNs: "" }));
    if (newest?.checkpointId !== thread?.state?.checkpointId) return;
    const field = "spec.command.resume";
    throw new DomainError("INTERRUPT_NOT_OPEN", `${field}: ${refusal}`, { metadata: { field, thread_id: threadId } });
  }

  async function checkStart(request: NewRun, graph: string): Promise<void> {
    const named = namedCheckpoint(request.spec, "spec.");
    if (!named) return;
    const { name, field } = named;
    const thread = await findThread(request);
    if (!thread && !request.createThread) throw threadNotFound(request.threadId);
    if (!thread) throw checkpointNotFound(request.threadId, name, field);
    requireGraph(await requireCheckpoint(parts.findCheckpoint, thread, name, field), graph, field);
  }

  /** By a run of any thread; one whose last record is kept is looked for once the new record is stored. */
  const isTaken = async (name: RunName) => (await runs.findMany([name])).some(({ changes }) => changes > 0);

  async function prepare(request: NewRun): Promise<Run> {
    const { graph, assistant } = await check(request);
    const { afterMs } = request.spec;
    if (request.parent) await parts.children.parentOf(request.owner, request.parent);
    const createdAt = parts.now();
    return {
      owner: request.owner,
      runId: request.runId,
      threadId: request.threadId,
      graph,
      assistant,
      made: newId(),
      changes: 0,
      n: 0,
      spec: request.spec,
      status: "pending",
      phase: "waiting",
      attempt: 0,
      createdAt,
      parent: request.parent,
      actor: request.actor,
      request: request.request,
      stateless: request.stateless,
      webhook: request.spec.webhook === undefined ? undefined : { state: "pending", tries: 0 },
      dueAt: afterMs === undefined ? undefined : new Date(createdAt.getTime() + afterMs),
    };
  }

  async function create(request: NewRun): Promise<Run> {
    const run = await prepare(request);
    const refund = await parts.limits.admit(run.owner);
    try {
      const { createThread, isChosenId, mayEnter } = request;
      return await parts.storeRun(run, { createThread, isChosenId, mayEnter });
    } catch (error) {
      refund();
      throw error;
    }
  }

  return { create, prepare };
}
