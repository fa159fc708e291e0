import { isOver, outcomeOf, type Violation } from "../evidence.ts";
import type { CaseFile, KnownRun } from "./case-file.ts";

/** With what is special about it. */
const nameOf = ({ id, work }: KnownRun): string => `run ${id}${work.isDelayed ? ` (delayed, ${work.strategy})` : ""}`;

const isCancelled = ({ outcome }: KnownRun): boolean => outcome === "interrupted" || outcome === "gone";

/** Laws 3 and 4: whoever is told of a run's end is told the same, and nobody is told afterwards that it is live. */
export function oneOutcome(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    // Of what goes with its thread, some hear how it ended and others that it is gone.
    const mayVanish = run.work.vanishes || run.mayBe.deleted;
    const ends = run.told.filter(({ status }) => isOver(status) && !(mayVanish && status === "gone"));
    const outcomes = new Set(ends.map(outcomeOf));
    if (mayVanish) outcomes.delete("gone");
    const revived = run.told.filter(({ status, sentAt }) => !isOver(status) && sentAt > run.overAt);
    const says = [
      ...(outcomes.size > 1 ? [`run ${run.id} was told to be ${[...outcomes].join(" and ")}`] : []),
      ...revived.map((one) => `run ${run.id} was told to be ${one.status} (${one.by}) after it was told to be over`),
    ];
    return says.map((one) => ({ law: "4 one outcome", says: one, lines: file.storyOf(run.id) }));
  });
}

/** Law 2: a run whose cancel was answered ends as cancelled, and as a rollback where one was asked for. */
export function cancelsAreKept(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    const kept = file.asked.filter((one) => one.isKept && one.by === "cancel" && one.run === run.id);
    if (kept.length === 0 || run.outcome === undefined) return [];
    const isRollback = kept.some(({ action }) => action === "rollback");
    if (isRollback ? run.outcome === "gone" : isCancelled(run)) return [];
    const says = `a cancel (${isRollback ? "rollback" : "interrupt"}) of run ${run.id} was answered, and it ended as ${run.outcome}`;
    return [{ law: "2 a cancel is durable", says, lines: file.storyOf(run.id) }];
  });
}

/** A run that was live after a new one with INTERRUPT or ROLLBACK was answered is cancelled. */
export function strategiesAreKept(file: CaseFile): Violation[] {
  const texting = file.runs.filter(({ work }) => work.strategy === "interrupt" || work.strategy === "rollback");
  return texting.flatMap((later) =>
    file.runs
      .filter(({ work }) => work.threadId === later.work.threadId && work.answeredAt! < later.work.sentAt)
      .filter((earlier) => earlier.outcome !== undefined && wasLiveAt(file, earlier, later.work.answeredAt!))
      .filter((earlier) => (later.work.strategy === "rollback" ? earlier.outcome !== "gone" : !isCancelled(earlier)))
      .map((earlier) => ({
        law: "2 a cancel is durable",
        says: `${nameOf(earlier)} was live after ${later.id} (${later.work.strategy}) was answered, and ended as ${earlier.outcome}`,
        lines: [...file.storyOf(earlier.id), ...file.storyOf(later.id)],
      })),
  );
}

/** A new run with REJECT is refused while one is live that was created before. */
export function rejectsAreKept(file: CaseFile): Violation[] {
  const rejecting = file.runs.filter(({ work }) => work.strategy === "reject");
  return rejecting.flatMap((later) =>
    file.runs
      .filter(({ work }) => work.threadId === later.work.threadId && work.answeredAt! < later.work.sentAt)
      .filter((earlier) => wasLiveAt(file, earlier, later.work.answeredAt!))
      .map((earlier) => ({
        law: "6 double-texting",
        says: `run ${later.id} was created with REJECT while ${earlier.id} was live`,
        lines: [...file.storyOf(earlier.id), ...file.storyOf(later.id)],
      })),
  );
}

const wasLiveAt = (file: CaseFile, run: KnownRun, time: number): boolean =>
  run.told.some(({ status, sentAt }) => !isOver(status) && sentAt > time) ||
  file.linesOf(run.id).some(({ at }) => at > time);

/** Nobody is cancelled without having been asked. */
export function nobodyElseIsCancelled(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    const { interrupted, rolledBack, deleted } = run.mayBe;
    const isAsked =
      run.outcome === "interrupted"
        ? interrupted || deleted
        : run.outcome !== "gone" || rolledBack || deleted || run.work.vanishes;
    if (isAsked) return [];
    const says = `${nameOf(run)} is ${run.outcome}, and nobody has asked for it`;
    return [{ law: "nothing is lost", says, lines: file.storyOf(run.id) }];
  });
}
