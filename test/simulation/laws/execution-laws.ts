import { entryOf } from "../../../src/domain/thread/entry.ts";
import type { Execution } from "../children/executions.ts";
import type { Facts, World } from "./facts.ts";
import { laneOf, threadAt } from "./stored.ts";

/** What each execution must keep when it begins. */
export function createExecutionLaws({ engine, executions, broken }: World, facts: Facts) {
  const tokens = new Set<string>();
  const attempts = new Set<string>();

  return function began(one: Execution): void {
    const { runId, threadId, token, attempt } = one;
    if (tokens.has(token)) broken("twins", `${runId} executes twice under one lease`);
    tokens.add(token);
    const run = facts.of(runId, threadId);
    run.hasExecuted = true;
    if (facts.excused.has(token)) return;
    const name = `${run.journal} ${runId} ${attempt}`;
    if (attempts.has(name)) broken("law 10", `attempt ${attempt} of ${runId} executes twice`);
    attempts.add(name);
    const doc = threadAt(engine, threadId);
    const lane = laneOf(doc);
    const entry = doc && entryOf({ lane } as never, runId);
    if (entry?.lease?.token !== token)
      broken("law 7", `${runId} executes under a lease that is ${entry?.phase ?? "gone"}`);
    if (run.end) broken("law 1", `${runId} executes after its end as ${run.end.status}`);
    for (const other of executions.live) {
      if (other === one || other.threadId !== threadId || facts.excused.has(other.token)) continue;
      broken("law 7", `${runId} executes beside ${other.runId} on their thread`);
    }
  };
}
