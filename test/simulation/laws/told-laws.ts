import type { RunEvent } from "../../../gen/reins/v1/run_event_pb.ts";
import {
  CancelAction as ProtoAction,
  CancelOutcome as ProtoOutcome,
  RunStatus as ProtoStatus,
  type Run,
} from "../../../gen/reins/v1/run_pb.ts";
import { type CancelAction, type CancelOutcome, isTerminal, type RunStatus } from "../../../src/domain/transitions.ts";
import type { RunDocument } from "../../../src/storage/run-document.ts";
import { type Facts, strength, type ToldEnd, type World } from "./facts.ts";
import { isSameEnd, tell } from "./lane-laws.ts";
import { recordAt } from "./stored.ts";

/** The domain's word for an enum's number. */
const wordOf = (table: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(table)
    .find((name) => table[name] === value)!
    .toLowerCase();

/** The end that a run's answer tells of; undefined when it does not say that the run is over. */
export function endOf({ status, cancellation }: Pick<Run, "status" | "cancellation">): ToldEnd | undefined {
  const name = wordOf(ProtoStatus, status) as RunStatus;
  if (!isTerminal(name)) return undefined;
  const { action, outcome } = cancellation ?? {};
  return {
    status: name,
    action: action === undefined ? undefined : (wordOf(ProtoAction, action) as CancelAction),
    outcome: outcome === undefined ? undefined : (wordOf(ProtoOutcome, outcome) as CancelOutcome),
  };
}

/** What clients are told must be true at that moment, the same for all, and stay so. */
export function createToldLaws({ engine, executions, elapsed, broken }: World, facts: Facts) {
  /** What each reader of a run was given under a number, whoever read it. */
  const events = new Map<string, string>();

  /** `everywhere`: who has waited for the end may count on reading the same in the run's record. */
  function ended(runId: string, told: ToldEnd, everywhere: boolean): void {
    const run = facts.of(runId);
    if (run.end && !isSameEnd(run.end, told))
      broken("law 4", `${runId} is told to be ${tell(told)}, and is ${tell(run.end)}`);
    if (!run.end) broken("law 4", `${runId} is told to be ${tell(told)} before it is over`);
    for (const one of executions.live) {
      if (one.runId === runId && !facts.excused.has(one.token))
        broken("law 1", `${runId} executes and is told to be over`);
    }
    if (everywhere && !run.isRecorded) broken("records", `${runId} is told to be over before its record says so`);
  }

  /** In the place of what was removed another try of the same request may have put a record that nobody enters. */
  const isRemoved = (runId: string): boolean => recordAt(engine, runId)?.phase !== "over";

  return {
    /** A server answers with a run as it is. */
    run(run: Run | undefined): void {
      const end = run && endOf(run);
      if (end) ended(run.runId, end, false);
    },

    /** A server answers somebody who has waited for the run's end. */
    waited(run: Run | undefined): void {
      const end = run && endOf(run);
      if (end) ended(run.runId, end, true);
      else broken("law 8", `${run?.runId} is answered to somebody who waits for its end, and is not over`);
    },

    /** A client has heard that its run is created. */
    created(runId: string, threadId: string, askedAt: number): void {
      const run = facts.of(runId, threadId);
      run.createdAt ??= elapsed();
      run.askedAt ??= askedAt;
    },

    /** A server refuses to create a run: nothing of it is left. `input` is what only this request has. */
    refused(input: string, reason: string, isChosenId: boolean): void {
      if (reason === "RUN_EXISTS" && !isChosenId) broken("twins", "a run whose id nobody has chosen exists already");
      for (const doc of engine.all("runs") as Iterable<unknown> as Iterable<RunDocument>) {
        if (doc.spec.input === input && doc.changes === 0)
          broken("section 6", `${doc._id} was refused with ${reason}, and its record is there`);
      }
    },

    /**
     * A client asks for cancels. What it hears then, that a run which was not over will be cancelled, is said of the runs as they were
     * when it has asked, or have come since: not of one that was deleted meanwhile and created anew under its id.
     */
    asksToCancel(): (runId: string, action: CancelAction) => void {
      const then = new Map(facts.runs);
      return (runId, action) => {
        const run = then.get(runId) ?? facts.firstLives.get(runId) ?? facts.of(runId);
        if (!run.promised || strength[action] > strength[run.promised]) run.promised = action;
      };
    },

    /** A reader gets the next events; answers the number of the last. */
    events(runId: string, after: number, batch: readonly RunEvent[]): number {
      let last = after;
      for (const { sequence, event } of batch) {
        const number = Number(sequence);
        // Who asks from the terminal event's number on gets that once more.
        const isRepeated = event.case === "ended" && number === last;
        if (last !== 0 && number !== last + 1 && !isRepeated)
          broken("law 9", `event ${number} of ${runId} follows ${last}`);
        last = number;
        // A run that is deleted with its thread and created anew under its id has events of its own.
        const key = `${facts.of(runId).journal} ${runId} ${number}`;
        if (event.case === "ended") ended(runId, endOf(event.value)!, true);
        // The first is derived; so is the last, which comes earlier to whoever reads while the others are being removed.
        if (event.case === "created" || (event.case === "ended" && isRemoved(runId))) continue;
        const text = event.case === "ended" ? "ended" : JSON.stringify(event.value, plain);
        const before = events.get(key);
        if (before !== undefined && before !== text)
          broken("law 9", `event ${number} of ${runId} is ${text}, and was ${before}`);
        events.set(key, text);
      }
      return last;
    },
  };
}

export type ToldLaws = ReturnType<typeof createToldLaws>;

const plain = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
