import { entryOf } from "../../src/domain/thread/entry.ts";
import { type Decision, decide, type Rules } from "./lane-decide.ts";
import { isLive, named, nameOf, type Process, type State, withFacts, without, withProcesses } from "./lane-state.ts";

export interface Done {
  readonly what: string;
  readonly state: State;
}

type Of<K extends Process["kind"]> = Extract<Process, { kind: K }>;

/** The state that every execution leaves. */
const left = { graph: "graph", next: [], interrupts: [] };

/** The next step of a process: one write, or one decision, and what its server makes of the answer. */
export function* stepOf(state: State, process: Process, rules: Rules): Generator<Done> {
  switch (process.kind) {
    case "create":
      yield* create(state, process, rules);
      break;
    case "execute":
      yield* execute(state, process);
      break;
    case "end":
      yield* end(state, process, rules);
      break;
    case "fence": {
      const fenced = { ...without(state, process), fenced: [...state.fenced, ...process.tokens] };
      const { server, run, token } = process;
      yield { what: "fence", state: withProcesses(fenced, { kind: "end", server, run, token, result: "lost" }) };
      break;
    }
    case "project":
      yield { what: "project", state: project(without(state, process), process, rules) };
      break;
    case "pay":
      yield pay(state, process, rules);
      break;
    case "hold":
      yield* holdOn(state, process, rules);
      break;
    case "sweep":
      yield sweep(state, process, rules);
      break;
  }
}

/** All the steps of a process at once. */
export function* stepsOf(state: State, process: Process, rules: Rules): Generator<Done> {
  for (const done of stepOf(state, process, rules)) {
    const later = done.state.processes.find((one) => one.kind === process.kind && !state.processes.includes(one));
    if (later) for (const all of stepsOf(done.state, later, rules)) yield { ...all, what: `${done.what}, ${all.what}` };
    else yield done;
  }
}

/** The same process at another point. */
const at = <P extends Process>(state: State, process: P, change: Partial<P>): State =>
  withProcesses(without(state, process), { ...process, ...change });

function* create(state: State, process: Of<"create">, rules: Rules): Generator<Done> {
  const { run, made } = process;
  const facts = state.runs[run]!;
  if (process.at === "put") {
    const { record } = facts;
    // A repeat takes the place of a record of its own that says nothing yet.
    const stored = record && record.status !== "pending" ? record : { made, changes: 0, status: "pending" as const };
    yield { what: "store the record", state: at(withFacts(state, run, { record: stored }), process, { at: "enter" }) };
    return;
  }
  if (process.at === "unput") {
    const kept = facts.record?.made === made ? undefined : facts.record;
    yield {
      what: "remove the record",
      state: answered(without(withFacts(state, run, { record: kept }), process), process, "refused"),
    };
    return;
  }
  if (process.isSlow && !rules.without.has("record again after a sleep")) {
    yield { what: "store again", state: at(state, process, { at: "put", made: made + 1, isSlow: false }) };
    return;
  }
  for (const hasSlot of [true, false]) {
    const decided = enter(state, process, hasSlot, rules);
    const what = `enter${hasSlot ? " with a slot" : ""}`;
    if (decided.answer) {
      yield { what, state: answered(without(decided.state, process), process, "answered") };
      const isClaimed = decided.answer.claimed !== undefined && state.left.lostAnswers > 0;
      if (isClaimed)
        yield {
          what: `${what}, answer lost`,
          state: lost(without(enter(state, process, hasSlot, rules, true).state, process)),
        };
    } else if (rules.without.has("remove the record of a refused run")) {
      yield { what: `${what}: refused`, state: answered(without(decided.state, process), process, "refused") };
    } else yield { what: `${what}: refused`, state: at(decided.state, process, { at: "unput" }) };
    // Without a run to claim the slot makes no difference.
    if (!decided.answer?.claimed) break;
  }
}

/** The answer to a decision got lost on its way. */
export const lost = (state: State): State => ({
  ...state,
  left: { ...state.left, lostAnswers: state.left.lostAnswers - 1 },
});

function enter(state: State, process: Of<"create">, hasSlot: boolean, rules: Rules, isAnswerLost = false): Decision {
  const [after, token] = hasSlot ? named(state, "t") : [state, undefined];
  return decide(after, enterCommand(after, process, token), rules, isAnswerLost);
}

export const enterCommand = (state: State, { run, strategy, server }: Of<"create">, next: string | undefined) =>
  ({
    kind: "enter",
    server,
    run: nameOf(run),
    strategy,
    due: state.runs[run]!.isDelayed ? 1 : undefined,
    next,
  }) as const;

/** Whoever sleeps through its death answers nobody. */
const answered = (state: State, process: Process & { run: number }, creation: "answered" | "refused"): State =>
  isLive(state, process) && state.runs[process.run]!.creation === "begun"
    ? withFacts(state, process.run, { creation })
    : state;

function* execute(state: State, process: Of<"execute">): Generator<Done> {
  const { run, token, server } = process;
  const ended = (result: Of<"end">["result"], now = state): State =>
    withProcesses(without(now, process), { kind: "end", server, run, token, result });
  if (!state.runs[run]!.hasData && !state.fenced.includes(token)) {
    yield { what: "write data", state: withFacts(state, run, { hasData: true }) };
  }
  const { lease, cancel } = entryOf(state.control, nameOf(run)) ?? {};
  yield { what: "come to its end", state: ended("success") };
  if (cancel && lease?.token === token) yield { what: "stop", state: ended("stopped") };
  if (state.left.losses > 0) {
    yield {
      what: "lose its process",
      state: ended("lost", { ...state, left: { ...state.left, losses: state.left.losses - 1 } }),
    };
  }
  if (state.left.displacements > 0) {
    const displacements = state.left.displacements - 1;
    yield { what: "be displaced", state: ended("displaced", { ...state, left: { ...state.left, displacements } }) };
  }
}

function* end(state: State, process: Of<"end">, rules: Rules): Generator<Done> {
  for (const hasSlot of isLive(state, process) ? [true, false] : [false]) {
    const [after, next] = hasSlot ? named(state, "t") : [state, undefined];
    const { state: decided, answer } = decide(after, endCommand(process, next), rules);
    yield { what: `${process.result}${hasSlot ? " with a slot" : ""}`, state: without(decided, process) };
    if (!answer?.claimed) break;
  }
}

export function endCommand({ server, run, token, result }: Of<"end">, next: string | undefined) {
  const common = { server, run: nameOf(run), token, sequence: 1, next };
  if (result === "success" || result === "stopped") return { kind: "settle", ...common, result, state: left } as const;
  return { kind: "handBack", ...common, lost: result === "lost", killed: result === "lost" } as const;
}

/** Replaces what is older, and never makes a record that is gone. */
function project(
  state: State,
  { run, changes, status }: Pick<Of<"project">, "run" | "changes" | "status">,
  rules: Rules,
): State {
  const { record } = state.runs[run]!;
  if (!record && !rules.without.has("projection without upsert")) return state;
  const isOlder = !record || record.changes < changes || rules.without.has("projection by count");
  return isOlder ? withFacts(state, run, { record: { made: record?.made ?? 0, changes, status } }) : state;
}

function pay(state: State, process: Of<"pay">, rules: Rules): Done {
  const { run, changes, server } = process;
  const isEager = (rule: Parameters<typeof rules.without.has>[0]) => rules.without.has(rule);
  switch (process.at) {
    case "removeData": {
      const removed = withFacts(state, run, { hasData: false });
      const isLast = isEager("data before the end of a rollback");
      const then = isLast ? without(removed, process) : at(removed, process, { at: "finishRollback" });
      return { what: "remove its data", state: then };
    }
    case "finishRollback": {
      const { state: decided } = decide(state, { kind: "finishRollback", server, run: nameOf(run) }, rules);
      const isFirst = isEager("data before the end of a rollback");
      const then = isFirst ? at(decided, process, { at: "removeData" }) : without(decided, process);
      return { what: "finish the rollback", state: then };
    }
    case "tombstone":
      if (isEager("tombstone before the removal")) {
        return { what: "skip its tombstone", state: at(state, process, { at: "removeRecord" }) };
      }
      return {
        what: "store its tombstone",
        state: at(withFacts(state, run, { hasTombstone: true }), process, { at: "removeRecord" }),
      };
    case "removeRecord":
      return {
        what: "remove its record",
        state: at(withFacts(state, run, { record: undefined }), process, { at: "projected" }),
      };
    case "store": {
      if (isEager("tell before leaving")) return { what: "nothing", state: at(state, process, { at: "projected" }) };
      const { status } = entryOf(state.control, nameOf(run))?.end ?? {};
      const stored = status ? project(state, { run, changes, status }, rules) : state;
      return { what: "store its end", state: at(stored, process, { at: "projected" }) };
    }
    case "projected": {
      const command = { kind: "projected", server, run: nameOf(run), changes, state: left } as const;
      return { what: "let it leave", state: without(decide(state, command, rules).state, process) };
    }
  }
}

function* holdOn(state: State, process: Of<"hold">, rules: Rules): Generator<Done> {
  const { id, what, server, tokens = [] } = process;
  const isRemoval = what === "delete";
  if (process.at === "fence") {
    const fenced = { ...state, fenced: [...state.fenced, ...tokens] };
    const completes = isRemoval && !rules.without.has("complete deletions");
    yield {
      what: "fence a hold",
      state: at(fenced, process, { at: completes ? "half" : "release", tokens: undefined }),
    };
  } else if (process.at === "half") {
    if (isRemoval) {
      const upkeep = state.upkeep === "whole" ? "whole" : "half";
      yield { what: "delete half", state: at({ ...state, upkeep }, process, { at: "whole" }) };
    } else {
      // A copy writes to another thread. Until its tokens are fenced the hold stays with whoever has taken it over.
      const { holder } = state.control.lane;
      const isHeld = holder?.id === id || holder?.tokensToFence?.includes(id);
      const isAstray = what === "edit" && !state.fenced.includes(id) && !isHeld;
      const written = isAstray ? ({ ...state, upkeep: "astray" } as const) : state;
      yield { what, state: at(written, process, { at: "release" }) };
    }
  } else if (process.at === "whole") {
    yield { what: "delete the rest", state: at({ ...state, upkeep: "whole" }, process, { at: "release" }) };
  } else {
    const { state: decided } = decide(state, { kind: "release", server, id }, rules);
    yield { what: "release", state: without(decided, process) };
  }
}

function sweep(state: State, process: Of<"sweep">, rules: Rules): Done {
  const { run, made, server } = process;
  if (process.at === "forget") {
    const command = { kind: "forget", server, run: nameOf(run), lacks: "entry" } as const;
    const { state: decided, answer } = decide(state, command, rules);
    const isGone = answer?.did === "done";
    return { what: "forget", state: isGone ? at(decided, process, { at: "remove" }) : without(decided, process) };
  }
  const { record } = state.runs[run]!;
  // What says that its run was executed has had its entry in between, which has left.
  const saysNothing = record?.changes === 0 || rules.without.has("remove what says nothing");
  const isIt = saysNothing && (record?.made === made || rules.without.has("remove by nonce"));
  return {
    what: "remove a record",
    state: without(isIt ? withFacts(state, run, { record: undefined }) : state, process),
  };
}
