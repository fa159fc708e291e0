import { isOver, type Violation } from "../evidence.ts";
import type { CaseFile, KnownRun } from "./case-file.ts";

/** Every created run comes to its end, and does what it says that it has done. */
export function nothingIsLost(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    const says = loss(file, run);
    return says === undefined
      ? []
      : [{ law: "nothing is lost", says: `run ${run.id} ${says}`, lines: file.storyOf(run.id) }];
  });
}

function loss(file: CaseFile, run: KnownRun): string | undefined {
  const { steps } = run.work.plan;
  const lines = file.linesOf(run.id);
  const failed = run.told.find(({ status, error }) => status === "error" && error !== undefined);
  if (run.outcome === undefined || !isOver(run.outcome)) return `is ${run.outcome ?? "unknown"} at the end`;
  if (run.outcome === "timeout") return "ended as timeout, and has no limit";
  if (run.outcome === "success") {
    const missing = steps.findIndex(({ manner }, step) => {
      const ends = lines.filter(
        (line) => line.kind === "end" && line.step === step && (line.done || manner === "asks"),
      );
      return ends.length === 0;
    });
    return missing < 0 ? undefined : `is success, and its step ${missing} has never come to its end`;
  }
  if (run.outcome === "error" && failed?.error !== "AttemptsLostError" && steps.at(-1)?.manner !== "fails")
    return `ended with ${failed?.error ?? "an error"}, and should not fail`;
  const { interrupted, rolledBack, deleted } = run.mayBe;
  if (run.outcome === "gone" && !interrupted && !rolledBack && !deleted && lines.length === 0)
    return "has gone without having executed";
  return undefined;
}

/** A create that is repeated with its request id, or its run id, makes one run; a refused one makes none. */
export function createdOnce(file: CaseFile): Violation[] {
  return file.works.flatMap((work) => {
    const name = work.plan.work;
    const executed = file.ledger.filter((line) => line.work === name).map(({ run }) => run);
    const listed = file.threads.flatMap((thread) =>
      thread.listed.filter((one) => one.work === name).map(({ run }) => run),
    );
    const runs = [...new Set([...work.answers, ...executed, ...listed])];
    if (runs.length <= (work.outcome === "refused" ? 0 : 1)) return [];
    const says = `${name} (${work.outcome}) is ${runs.length} runs: ${runs.join(", ")}`;
    return [{ law: "created once", says, lines: runs.flatMap(file.storyOf) }];
  });
}
