import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Run, RunStatus } from "../../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { isDomainError } from "../../domain/errors.ts";
import type { Invoke } from "../invoke.ts";
import { payloadFormat } from "../json/payload.ts";

const methods = RunService.method;

/** A run that has begun, with the time at which it did: a thread's runs begin one after the other. */
export interface BegunRun {
  readonly run: Run;
  /** Milliseconds; of a run that was cancelled before it began, when it ended. */
  readonly at: number;
}

/** The runs of a thread that one who follows it still has before it. */
export interface ThreadRuns {
  /** Finds what there is, or what has come since it was last called. */
  look(): Promise<void>;
  /** Those that have begun, in that order. Without their `spec`. */
  begun(): BegunRun[];
  pass(runId: string): void;
  /** Passes the first that has begun, and reads it whole. */
  take(): Promise<BegunRun | undefined>;
  /** Whether one waits for nothing but its turn or a slot. */
  isOneWaiting(): boolean;
}

export interface ThreadRunsOptions {
  readonly invoke: Invoke;
  readonly threadId: string;
  /** Whether the first look goes back to the first run that is kept. Otherwise all but the newest ones, and live ones, count as passed. */
  readonly everything: boolean;
}

const pageSize = 50;
/** How many passed runs are known by their ids; more are known by their age. */
const passedIds = 10 * pageSize;

export function createThreadRuns({ invoke, threadId, everything }: ThreadRunsOptions): ThreadRuns {
  const ahead = new Map<string, Run>();
  let passed = new Set<string>();
  /** What is over and older than this run counts as passed, unless it is ahead. */
  let horizon: Run | undefined;
  let isFirst = true;

  const list = (statuses: RunStatus[], pageToken: string) =>
    invoke.call(methods.listRuns, { threadId, statuses, pageSize, pageToken, omitSpec: true });

  async function find(runId: string): Promise<Run | undefined> {
    try {
      return (await invoke.call(methods.getRun, { threadId, runId, payloadFormat })).run;
    } catch (error) {
      if (isDomainError(error, "RUN_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  const isPassed = (run: Run): boolean =>
    passed.has(run.runId) || (!ahead.has(run.runId) && isOver(run) && horizon !== undefined && isOlder(run, horizon));

  /** Answers the oldest of the runs that it has read, if there are older ones, and the ids of all that it has read. */
  async function readPages(statuses: RunStatus[], goesOn: (hasNews: boolean) => boolean) {
    const ids: string[] = [];
    let pageToken = "";
    while (true) {
      const { runs, nextPageToken } = await list(statuses, pageToken);
      let hasNews = false;
      for (const run of runs) {
        ids.push(run.runId);
        if (isPassed(run)) continue;
        hasNews ||= !ahead.has(run.runId);
        ahead.set(run.runId, run);
      }
      if (nextPageToken === "") return { ids };
      if (!goesOn(hasNews)) return { ids, oldest: runs.at(-1)! };
      pageToken = nextPageToken;
    }
  }

  /** Forgets ids that have not been read: they are of runs that are gone, or older than the oldest that has been. */
  function forget(read: ReadonlySet<string>, oldest: Run | undefined): void {
    if (oldest && (!horizon || isOlder(horizon, oldest))) horizon = oldest;
    passed = new Set([...passed].filter((runId) => read.has(runId)));
  }

  function pass(runId: string): void {
    ahead.delete(runId);
    passed.add(runId);
  }

  const begun = (): BegunRun[] => [...ahead.values()].flatMap((run) => begunRun(run) ?? []);

  return {
    async look() {
      // A later look ends at a page without news rather than at a run that is known: the servers' clocks may differ a little.
      const newest = await readPages([], (hasNews) => (isFirst ? everything : hasNews));
      const live = await readPages([RunStatus.PENDING, RunStatus.RUNNING], () => true);
      const read = new Set([...newest.ids, ...live.ids]);
      for (const run of [...ahead.values()]) {
        if (read.has(run.runId) || begunRun(run)) continue;
        const now = await find(run.runId);
        if (now) ahead.set(run.runId, now);
        else ahead.delete(run.runId);
      }
      if (isFirst || passed.size > passedIds) forget(read, newest.oldest);
      isFirst = false;
    },
    begun: () => begun().sort(inOrder),
    pass,
    async take() {
      while (true) {
        const all = begun();
        if (all.length === 0) return undefined;
        const { run, at } = all.reduce((first, other) => (inOrder(other, first) < 0 ? other : first));
        pass(run.runId);
        const whole = await find(run.runId);
        // Else it was removed meanwhile: there is nothing left to tell.
        if (whole) return { run: whole, at };
      }
    },
    isOneWaiting: () => [...ahead.values()].some((run) => !begunRun(run) && !run.dueAt),
  };
}

export const isOver = ({ status }: Run): boolean => status !== RunStatus.PENDING && status !== RunStatus.RUNNING;

/** A run that was handed back has begun: it has kept its thread's turn, and no other one begins before it is over. */
function begunRun(run: Run): BegunRun | undefined {
  const time = run.startedAt ?? run.endedAt;
  return time && { run, at: timestampMs(time) };
}

const inOrder = (a: BegunRun, b: BegunRun): number => a.at - b.at || (a.run.runId < b.run.runId ? -1 : 1);

/** As the lists of runs have it. */
const isOlder = (a: Run, b: Run): boolean =>
  (timestampMs(a.createdAt!) - timestampMs(b.createdAt!) || (a.runId < b.runId ? -1 : 1)) < 0;
