import type { Reader, StreamedEvent, Violation } from "../evidence.ts";
import type { CaseFile } from "./case-file.ts";

/** Law 9: sequences have no gap and no repeat over reconnects and servers, and say the same to everybody to the same end. */
export function streamsAreExact(file: CaseFile): Violation[] {
  return [...Map.groupBy(file.readers, ({ run }) => run)].flatMap(([run, readers]) => {
    const wrong = [
      ...new Set([...readers.flatMap(wrongSequences), ...contradictions(readers), ...wrongEnds(file, run, readers)]),
    ];
    return wrong.map((says) => ({
      law: "9 streams are exact",
      says: `run ${run}: ${says}`,
      lines: [...readers.flatMap(({ connections }) => connections.map(inShort)), ...file.storyOf(run)],
    }));
  });
}

function wrongSequences({ connections }: Reader): string[] {
  return connections.flatMap(({ after, got, end }) => {
    // Who has seen the terminal event gets it once more.
    const next = got[0]?.kind === "ended" && got[0].sequence === after ? after : after + 1;
    const expected = got.map((_, i) => next + i);
    const wrong = got.findIndex(({ sequence }, i) => sequence !== expected[i]);
    return [
      ...(wrong < 0 ? [] : [`event ${got[wrong]!.sequence} came where ${expected[wrong]} was due`]),
      ...(end === "closed" ? ["a stream was closed without a terminal event"] : []),
    ];
  });
}

function contradictions(readers: readonly Reader[]): string[] {
  const seen = new Map<number, StreamedEvent>();
  const wrong: string[] = [];
  const events = readers.flatMap(({ connections }) => connections.flatMap(({ got }) => got));
  for (const event of events.filter((one) => !isEndOfRollback(one))) {
    const before = seen.get(event.sequence);
    if (before === undefined) seen.set(event.sequence, event);
    else if (before.says !== event.says) wrong.push(`event ${event.sequence} is ${before.says} and ${event.says}`);
  }
  const ends = [...seen.values()].filter(({ kind }) => kind === "ended").map(({ sequence }) => sequence);
  const last = Math.max(...seen.keys());
  if (ends.length > 1) wrong.push(`there are terminal events ${ends.join(" and ")}`);
  if (ends[0] !== undefined && ends[0] < last) wrong.push(`event ${last} came after the terminal event ${ends[0]}`);
  const first = seen.get(1);
  if (first !== undefined && first.kind !== "created") wrong.push(`the first event is ${first.says}`);
  return wrong;
}

/** It comes next to whoever still reads, whatever events had that number before they were removed. */
const isEndOfRollback = ({ end }: StreamedEvent): boolean => end?.action === "rollback";

/** Everybody who stays is told of the end; but for a run that goes, whose events may go before its record. */
function wrongEnds(file: CaseFile, id: string, readers: readonly Reader[]): string[] {
  const run = file.runs.find((one) => one.id === id);
  const mayBeGone = run === undefined || run.outcome === "gone" || run.mayBe.deleted || run.work.vanishes;
  return readers.flatMap(({ connections }) => {
    const { end, after } = connections.at(-1) ?? { end: "ended", after: 0 };
    if (end === "ended" || (mayBeGone && (end === "gone" || end === "out of range"))) return [];
    return [`a reader was left with "${end}" after ${after}`];
  });
}

const inShort = ({ server, after, got, end }: Reader["connections"][number]): string =>
  `server ${server} after ${after}: ${got.map(({ sequence, kind }) => `${sequence} ${kind}`).join(", ")}; ${end}`;
