import { type Evidence, isOver, outcomeOf, type Told, type ToldStatus, type Work } from "../evidence.ts";
import type { LedgerLine } from "../ledger.ts";

/** The evidence, sorted by what it is about. */
export interface CaseFile extends Evidence {
  /** The runs that clients know of. */
  readonly runs: readonly KnownRun[];
  readonly linesOf: (run: string) => readonly LedgerLine[];
  /** Those of its lines and answers that tell its story, as text. */
  readonly storyOf: (run: string) => string[];
}

export interface KnownRun {
  readonly id: string;
  readonly work: Work;
  readonly told: readonly Told[];
  /** When somebody was first told that it is over. */
  readonly overAt: number;
  /** What became of it; undefined when nobody could say at the end. */
  readonly outcome: ToldStatus | undefined;
  /** Somebody may have asked for its end: with this action at most. */
  readonly mayBe: { readonly interrupted: boolean; readonly rolledBack: boolean; readonly deleted: boolean };
}

export function openCaseFile(evidence: Evidence): CaseFile {
  const lines = Map.groupBy(evidence.ledger, ({ run }) => run);
  const told = Map.groupBy(evidence.told, ({ run }) => run);
  const linesOf = (run: string) => lines.get(run) ?? [];
  const runs = evidence.works.flatMap((work) => {
    const [id] = work.answers;
    return id === undefined ? [] : [knownRun(evidence, id, work, told.get(id) ?? [])];
  });
  const storyOf = (run: string) => {
    const ends = linesOf(run).filter((line, i, all) => line.kind !== "beat" || i === all.length - 1);
    const answers = (told.get(run) ?? []).filter(({ isFinal }) => !isFinal);
    const asked = evidence.asked.filter((one) => one.run === run);
    return [...ends, ...answers, ...asked]
      .map((one) => ({ at: "at" in one ? one.at : one.sentAt, text: JSON.stringify(one) }))
      .sort((a, b) => a.at - b.at)
      .map(({ text }) => text);
  };
  return { ...evidence, runs, linesOf, storyOf };
}

function knownRun({ asked, works }: Evidence, id: string, work: Work, told: readonly Told[]): KnownRun {
  const finals = told.filter(({ isFinal }) => isFinal);
  const ends = told.filter(({ status }) => isOver(status));
  const mine = asked.filter((one) => one.thread === work.threadId && (one.run === undefined || one.run === id));
  const others = works.filter((one) => one !== work && one.threadId === work.threadId && one.outcome !== "refused");
  return {
    id,
    work,
    told,
    overAt: Math.min(...ends.map(({ at }) => at)),
    // What goes with its thread may do so while it is read.
    outcome:
      work.vanishes && finals.some(({ status }) => status === "gone") ? "gone" : finals[0] && outcomeOf(finals[0]),
    mayBe: {
      interrupted:
        mine.some(({ action }) => action === "interrupt") || others.some(({ strategy }) => strategy === "interrupt"),
      rolledBack:
        mine.some(({ action, by }) => by !== "delete" && action === "rollback") ||
        others.some(({ strategy }) => strategy === "rollback"),
      deleted: mine.some(({ by }) => by === "delete"),
    },
  };
}
