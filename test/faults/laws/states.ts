import type { ThreadAtEnd, Violation } from "../evidence.ts";
import { logOf, workOf } from "../plan.ts";
import type { CaseFile, KnownRun } from "./case-file.ts";

/** Law 6: of a rolled back run nothing is left in the thread's values, history and list. */
export function rollbackLeavesNothing(file: CaseFile): Violation[] {
  return file.runs
    .filter(({ outcome, work }) => outcome === "gone" && !work.vanishes)
    .flatMap((run) =>
      file.threads.flatMap((thread) => {
        const traces = [
          ...thread.log.filter((entry) => workOf(entry) === run.work.plan.work).map((entry) => `"${entry}" in its log`),
          ...(thread.history.includes(run.id) ? ["a checkpoint in its history"] : []),
          ...(thread.listed.some((one) => one.run === run.id) ? ["an entry in its list"] : []),
        ];
        if (traces.length === 0) return [];
        const says = `run ${run.id} is gone, and thread ${thread.thread} has ${traces.join(", ")} (server ${thread.server})`;
        return [{ law: "6 rollback leaves nothing", says, lines: file.storyOf(run.id) }];
      }),
    );
}

/** Laws 5 and 7: what each run has left in the thread's log is what its outcome says, once, in order and in one piece. */
export function logsAreExact(file: CaseFile): Violation[] {
  return file.threads
    .filter(({ status }) => status !== "gone")
    .flatMap((thread) => {
      const runs = file.runs.filter(({ work, outcome }) => work.threadId === thread.thread && outcome !== "gone");
      const wrong = [...runs.flatMap((run) => wrongPart(file, thread, run)), ...wrongEdits(file, thread)];
      return wrong.map(({ says, run }) => ({
        law: "5 interrupt keeps, 7 one run at a time",
        says: `${says} (thread ${thread.thread}, server ${thread.server})`,
        lines: [`log: ${JSON.stringify(thread.log)}`, ...(run === undefined ? [] : file.storyOf(run))],
      }));
    });
}

function wrongPart(file: CaseFile, thread: ThreadAtEnd, run: KnownRun): { says: string; run: string }[] {
  const { plan } = run.work;
  const first = thread.log.findIndex((entry) => workOf(entry) === plan.work);
  const found = thread.log.filter((entry) => workOf(entry) === plan.work);
  const inOnePiece = first < 0 ? [] : thread.log.slice(first, first + found.length);
  const whole = logOf(plan);
  const least = run.outcome === "success" || isPlannedError(run) ? whole.length : stepsToKeep(file, run);
  // Branches are in the order of their tasks, which is not the plan's.
  const isPrefix = whole.some((_, i) => i + 1 >= least && sameParts(inOnePiece, whole.slice(0, i + 1)));
  if (isPrefix || (least === 0 && found.length === 0)) return [];
  return [{ says: `run ${run.id} (${run.outcome}) has left ${JSON.stringify(found)}`, run: run.id }];
}

const isPlannedError = ({ outcome, work, told }: KnownRun): boolean =>
  outcome === "error" &&
  work.plan.steps.at(-1)?.manner === "fails" &&
  !told.some((one) => one.error === "AttemptsLostError");

/** The steps after which another one began: with durability sync their checkpoint was stored before that. */
function stepsToKeep(file: CaseFile, run: KnownRun): number {
  if (run.work.durability !== "sync") return 0;
  const begun = file.linesOf(run.id).map(({ step }) => step);
  return logOf({ ...run.work.plan, steps: run.work.plan.steps.slice(0, Math.max(0, ...begun)) }).length;
}

function sameParts(entries: readonly string[], parts: readonly (readonly string[])[]): boolean {
  let at = 0;
  return (
    entries.length === parts.flat().length &&
    parts.every((part) => {
      const piece = entries.slice(at, at + part.length);
      at += part.length;
      return part.every((entry) => piece.includes(entry));
    })
  );
}

function wrongEdits(file: CaseFile, thread: ThreadAtEnd): { says: string; run?: string }[] {
  return file.edits
    .filter((edit) => edit.thread === thread.thread)
    .flatMap(({ entry, outcome }) => {
      const times = thread.log.filter((one) => one === entry).length;
      const isRight = outcome === "done" ? times === 1 : outcome === "refused" ? times === 0 : times <= 1;
      return isRight ? [] : [{ says: `the edit ${entry} (${outcome}) is in the log ${times} times` }];
    });
}
