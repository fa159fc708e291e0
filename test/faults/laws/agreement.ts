import { outcomeOf, type ThreadAtEnd, type Violation } from "../evidence.ts";
import type { CaseFile } from "./case-file.ts";

/** At the end get, list, wait and stream say the same of a run at every server. */
export function answersAgree(file: CaseFile): Violation[] {
  return file.runs.flatMap((run) => {
    const finals = run.told.filter(({ isFinal }) => isFinal);
    const outcomes = new Set(finals.map(outcomeOf));
    if (run.work.vanishes) outcomes.delete("gone");
    if (outcomes.size < 2) return [];
    const says = finals.map((one) => `${outcomeOf(one)} (${one.by}, server ${one.server})`);
    return [{ law: "statuses agree", says: `run ${run.id} is ${says.join(", ")}`, lines: file.storyOf(run.id) }];
  });
}

/** At the end a thread's status is what its runs and its state say, at every server and in the search. */
export function threadsAgree(file: CaseFile): Violation[] {
  // A temporary thread may go, with its run, between the looks at the two.
  const temporary = new Set(file.runs.filter(({ work }) => work.vanishes).map(({ work }) => work.threadId));
  return file.threads
    .filter(({ thread, status }) => status !== "gone" && !temporary.has(thread))
    .flatMap((thread) => {
      const expected = statusOf(file, thread);
      const isRight = (status: ThreadAtEnd["status"]) => expected === undefined || status === expected;
      if (isRight(thread.status) && thread.searched === thread.status && thread.status !== "busy") return [];
      const says = `thread ${thread.thread} is ${thread.status} (${thread.searched} in the search) at server ${thread.server}, and should be ${expected ?? "idle"}`;
      const lines = thread.listed.map((one) =>
        JSON.stringify({ ...one, ...file.runs.find(({ id }) => id === one.run) }),
      );
      return [{ law: "a thread's status agrees with its runs", says, lines }];
    });
}

/** Undefined where an edit may have changed what the last run left, or nobody knows which one started last. */
function statusOf(file: CaseFile, thread: ThreadAtEnd): ThreadAtEnd["status"] | undefined {
  const started = thread.listed.filter(({ startedAt }) => startedAt !== undefined);
  // By what really executed: the times of a list are those of its servers' clocks.
  const order = (run: string) => Math.max(...file.linesOf(run).map(({ at }) => at));
  if (started.some(({ run }) => file.linesOf(run).length === 0)) return undefined;
  const last = started.sort((a, b) => order(b.run) - order(a.run))[0];
  const outcome = file.runs.find(({ id }) => id === last?.run)?.outcome;
  if (file.edits.some((edit) => edit.thread === thread.thread && edit.outcome !== "refused")) return undefined;
  if (outcome === "error" || outcome === "timeout") return "error";
  return thread.next.length > 0 ? "interrupted" : "idle";
}
