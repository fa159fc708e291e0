import type { Evidence, Violation } from "../evidence.ts";
import { answersAgree, threadsAgree } from "./agreement.ts";
import { type CaseFile, openCaseFile } from "./case-file.ts";
import { createdOnce, nothingIsLost } from "./completeness.ts";
import { inTheirOrder, oneAtATime, stoppedMeansStopped } from "./execution.ts";
import { cancelsAreKept, nobodyElseIsCancelled, oneOutcome, rejectsAreKept, strategiesAreKept } from "./outcomes.ts";
import { logsAreExact, rollbackLeavesNothing } from "./states.ts";
import { streamsAreExact } from "./streams.ts";

export const checks: Readonly<Record<string, (file: CaseFile) => Violation[]>> = {
  stoppedMeansStopped,
  oneAtATime,
  inTheirOrder,
  oneOutcome,
  cancelsAreKept,
  strategiesAreKept,
  rejectsAreKept,
  nobodyElseIsCancelled,
  nothingIsLost,
  createdOnce,
  rollbackLeavesNothing,
  logsAreExact,
  streamsAreExact,
  answersAgree,
  threadsAgree,
  complaints: ({ complaints }) =>
    complaints.map((says) => ({ law: "nobody waits for ever, bad news are errors", says, lines: [] })),
};

/** Every way in which what was seen breaks a law. */
export function violationsOf(evidence: Evidence): Violation[] {
  const file = openCaseFile(evidence);
  return Object.values(checks).flatMap((check) => check(file));
}
