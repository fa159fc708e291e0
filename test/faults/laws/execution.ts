import type { Violation } from "../evidence.ts";
import type { LedgerLine } from "../ledger.ts";
import type { CaseFile, KnownRun } from "./case-file.ts";

/** Law 1: nothing of a run executes after somebody was told that it is over. */
export function stoppedMeansStopped(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    const late = excused(file, file.linesOf(run.id)).filter(({ at }) => at > run.overAt);
    if (late.length === 0) return [];
    const says = `run ${run.id} executed until ${(late.at(-1)!.at - run.overAt).toFixed(1)} ms after its end was told`;
    return [{ law: "1 stopped means stopped", says, lines: file.storyOf(run.id) }];
  });
}

interface Call {
  readonly line: LedgerLine;
  readonly from: number;
  readonly to: number;
}

/** Law 7: of a thread one run executes at a time, and of a run one attempt. */
export function oneAtATime(file: CaseFile): Violation[] {
  const calls = [...Map.groupBy(excused(file, file.ledger), ({ call }) => call).values()].map(
    (lines): Call => ({ line: lines[0]!, from: lines[0]!.at, to: lines.at(-1)!.at }),
  );
  return [...Map.groupBy(calls, ({ line }) => line.thread)].flatMap(([thread, ofThread]) => {
    const inOrder = ofThread.sort((a, b) => a.from - b.from);
    return inOrder.flatMap((first, i) =>
      inOrder
        .slice(i + 1)
        .filter((second) => second.from < first.to && !areBranches(first.line, second.line))
        .map((second) => ({
          law: "7 one run at a time",
          says: `on thread ${thread} a call of ${second.line.run} began ${(first.to - second.from).toFixed(1)} ms before one of ${first.line.run} was over`,
          lines: [first.line.run, second.line.run].flatMap((run, at, all) =>
            all.indexOf(run) === at ? file.storyOf(run) : [],
          ),
        })),
    );
  });
}

/** Two nodes of one step of one attempt. */
const areBranches = (a: LedgerLine, b: LedgerLine): boolean =>
  a.run === b.run && a.pid === b.pid && a.step === b.step && a.node !== b.node;

/** Law 7: in the order in which their creation was accepted. */
export function inTheirOrder(file: CaseFile): Violation[] {
  const executed = file.runs.filter(({ id, work }) => !work.isDelayed && file.linesOf(id).length > 0);
  return [...Map.groupBy(executed, ({ work }) => work.threadId).values()].flatMap((runs) =>
    runs.flatMap((earlier) =>
      runs
        .filter((later) => isAccepted(earlier, later) && overtakes(file, later, earlier))
        .map((later) => ({
          law: "7 in their order",
          says: `run ${later.id}, created after ${earlier.id} was answered, executed before that was over`,
          lines: [...file.storyOf(earlier.id), ...file.storyOf(later.id)],
        })),
    ),
  );
}

const isAccepted = (earlier: KnownRun, later: KnownRun): boolean => earlier.work.answeredAt! < later.work.sentAt;

function overtakes(file: CaseFile, later: KnownRun, earlier: KnownRun): boolean {
  const lines = excused(file, file.linesOf(earlier.id));
  return lines.length > 0 && file.linesOf(later.id)[0]!.at < lines.at(-1)!.at;
}

/** How long a process may take to notice that it has slept through its lease. */
const wakingMs = 1_500;

/**
 * Without what a process does when it wakes after it was stopped for so long that its lease may be over: nobody could reach it, and
 * it has to notice first. (What it then writes is fenced: that shows in the thread's log.)
 */
function excused(file: CaseFile, lines: readonly LedgerLine[]): LedgerLine[] {
  const long = file.freezes.filter(({ from, to }) => to - from >= file.leaseMs / 2);
  const isExcused = ({ pid, at }: LedgerLine) =>
    long.some((freeze) => freeze.pid === pid && at >= freeze.to && at < freeze.to + wakingMs);
  return lines.filter((line) => !isExcused(line));
}
