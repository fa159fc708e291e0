import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import type { Run } from "../../gen/reins/v1/run_pb.ts";
import type {
  CancelRunRequestSchema,
  CancelRunResponse,
  CreateRunRequestSchema,
} from "../../gen/reins/v1/run_service_pb.ts";
import { errorReason } from "./error-reason.ts";
import type { ReinsClient } from "./reins-client.ts";

/** How to stop a run: what CancelRun takes, without the ids. */
export type CancelOptions = Omit<MessageInitShape<typeof CancelRunRequestSchema>, "$typeName" | "threadId" | "runId">;

/** A run whose creation is under way. */
export interface StartedRun {
  /** Empty for a stateless run: its thread is known when it is created. */
  readonly threadId: string;
  /** Known at once: chosen here when the request names none. */
  readonly runId: string;
  /** The run as it was created; rejects when it was not. */
  readonly created: Promise<Run>;
  /**
   * Stops the run, also when the create has not been answered yet: a stop that is pressed early is not lost. Undefined when
   * there is no run to stop, since the create failed. Other errors are CancelRun's own.
   */
  cancel(options?: CancelOptions, callOptions?: CallOptions): Promise<CancelRunResponse | undefined>;
}

/**
 * Creates a run that can be stopped from the first moment on.
 *
 * ```ts
 * const run = startRun(client, { threadId, spec });
 * stopButton.onclick = () => run.cancel({ wait: true });
 * await run.created;
 * ```
 *
 * For WaitRun and StreamRun choose a `run_id` (`newRunId()`) and give the call's promise, or one that settles with it, to
 * {@link cancelUntilCreated}.
 */
export function startRun(
  client: Pick<ReinsClient, "runs">,
  request: MessageInitShape<typeof CreateRunRequestSchema>,
  callOptions?: CallOptions,
): StartedRun {
  const threadId = request.threadId ?? "";
  const runId = request.runId || newRunId();
  const created = client.runs
    .createRun({ ...(request as object), threadId, runId } as typeof request, callOptions)
    .then((answer) => answer.run!);
  return {
    threadId,
    runId,
    created,
    async cancel(options, cancelOptions) {
      const name = { threadId, runId };
      // Nobody but the server can say which thread a stateless run is on.
      if (threadId === "") {
        const run = await created.catch(() => undefined);
        if (!run) return undefined;
        name.threadId = run.threadId;
      }
      return cancelUntilCreated(client, { ...options, ...name }, created, cancelOptions);
    },
  };
}

const shortestPauseMs = 50;
const longestPauseMs = 1000;

/**
 * Cancels a run that may not be stored yet: as long as the server does not know it, asks again, more and more rarely and at
 * last when the call that creates it has settled. Undefined when there is no run then.
 *
 * ```ts
 * const runId = newRunId();
 * const call = client.runs.waitRun({ create: { threadId, runId, spec } });
 * stopButton.onclick = () => cancelUntilCreated(client, { threadId, runId }, call);
 * ```
 *
 * @param created settles when the call that creates the run does: CreateRun, WaitRun, or a StreamRun's first event or error.
 */
export async function cancelUntilCreated(
  client: Pick<ReinsClient, "runs">,
  request: MessageInitShape<typeof CancelRunRequestSchema>,
  created: Promise<unknown>,
  callOptions?: CallOptions,
): Promise<CancelRunResponse | undefined> {
  let settled: { readonly error?: unknown } | undefined;
  const settling = created.then(
    () => {
      settled = {};
    },
    (error: unknown) => {
      settled = { error };
    },
  );
  // If it has settled already, we hear of it before this comes back.
  await Promise.resolve();
  for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    // Without this an id that was taken already would name somebody else's run.
    if (settled && isRefused(settled.error)) return undefined;
    const isLast = settled !== undefined;
    try {
      return await client.runs.cancelRun(request, callOptions);
    } catch (error) {
      if (errorReason(error) !== "RUN_NOT_FOUND") throw error;
      if (isLast && settled?.error !== undefined) return undefined;
      if (isLast) throw error;
    }
    await pauseOr(settling, pauseMs, callOptions?.signal);
  }
}

/** The server has said that it created nothing, as against a call that was cut off on its way. */
function isRefused(error: unknown): boolean {
  if (error === undefined) return false;
  const unsure = [Code.Unavailable, Code.Canceled, Code.DeadlineExceeded, Code.Internal, Code.Unknown];
  return errorReason(error) !== undefined && !unsure.includes(ConnectError.from(error).code);
}

async function pauseOr(settling: Promise<void>, pauseMs: number, signal?: AbortSignal): Promise<void> {
  const pause = Promise.withResolvers<void>();
  const timer = setTimeout(pause.resolve, pauseMs);
  const wake = () => pause.resolve();
  signal?.addEventListener("abort", wake);
  await Promise.race([settling, pause.promise]);
  signal?.removeEventListener("abort", wake);
  clearTimeout(timer);
  signal?.throwIfAborted();
}

/** An id for a run: a random UUID, also where a page is not in a secure context and has no `crypto.randomUUID`. */
export function newRunId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = 0x40 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
