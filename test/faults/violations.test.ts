import { describe, expect, it } from "vitest";
import type { Evidence } from "./evidence.ts";
import { openCaseFile } from "./laws/case-file.ts";
import { checks, violationsOf } from "./laws/violations.ts";
import {
  allEvents,
  cancel,
  connection,
  event,
  final,
  interrupted,
  line,
  logOfBoth,
  reader,
  rolledBack,
  sound,
  thread,
  told,
  whole,
  work,
} from "./made-up-evidence.ts";

const broken = (name: keyof typeof checks, evidence: Evidence): string[] =>
  checks[name]!(openCaseFile(evidence)).map(({ says }) => says);

const endOfRollback = (sequence: number) => ({
  ...event(sequence, "ended"),
  end: { status: "interrupted", action: "rollback" } as const,
});

describe("evidence without a fault", () => {
  it.each([
    ["of two successes", sound()],
    ["of an interrupt", interrupted()],
    ["of a rollback", rolledBack()],
    [
      "of a run that is executed again after its process was lost",
      sound({
        ledger: [...whole("a", 10).slice(0, 5), ...whole("a", 30, { step: 1, pid: 2 }).slice(3), ...whole("b", 100)],
      }),
    ],
    [
      "of branches side by side",
      sound({
        works: [work("a", 1, { plan: { work: "a", steps: [{ manner: "fan", ms: 20 }] } })],
        ledger: ["left", "right"].flatMap((node) => [
          line("begin", "a", 10, { node, call: node }),
          line("end", "a", 30, { node, call: node, done: true }),
        ]),
        threads: [thread({ log: ["a 0 right", "a 0 left"], listed: [] })],
      }),
    ],
    [
      "of a stateless run that goes while it is read",
      sound({
        works: [work("a", 1, { vanishes: true }), work("b", 5)],
        told: [final("a", "success"), final("a", "gone"), final("b", "success")],
      }),
    ],
    [
      "of a reader that comes again when its run is being rolled back",
      rolledBack({ readers: [reader(connection(0, allEvents.slice(0, 3), "cut"), connection(3, [], "out of range"))] }),
    ],
    [
      "of a reader that comes while a run is being rolled back, and is told of the end where there had been events",
      rolledBack({
        readers: [
          reader(connection(0, [...allEvents.slice(0, 3), endOfRollback(4)])),
          reader(connection(0, [allEvents[0]!, endOfRollback(2)])),
        ],
      }),
    ],
    [
      "of a reader who asks once more after the terminal event",
      sound({ readers: [reader(connection(0, allEvents, "cut"), connection(4, allEvents.slice(3)))] }),
    ],
    [
      "of a process that sleeps through its lease",
      interrupted({
        freezes: [{ pid: 1, from: 50, to: 200 }],
        ledger: [...whole("a", 10).slice(0, 5), line("beat", "a", 201, { step: 1 }), ...whole("b", 100, { pid: 2 })],
      }),
    ],
  ])("%s breaks no law", (_, evidence) => {
    expect(violationsOf(evidence)).toEqual([]);
  });
});

describe("a check finds", () => {
  const found: [keyof typeof checks, string, Evidence, RegExp][] = [
    [
      "stoppedMeansStopped",
      "a beat after the end was told",
      sound({ told: [told("a", "success", 55)] }),
      /until 5.0 ms after/,
    ],
    [
      "stoppedMeansStopped",
      "one of a process that has slept too short",
      sound({
        told: [told("a", "success", 55)],
        freezes: [{ pid: 1, from: 20, to: 50 }],
      }),
      /after its end/,
    ],
    [
      "oneAtATime",
      "two runs at a time",
      sound({ ledger: [...whole("a", 10), ...whole("b", 50)] }),
      /run b began 10.0 ms before/,
    ],
    [
      "oneAtATime",
      "two attempts at a time",
      sound({ ledger: [...whole("a", 10), ...whole("a", 15, { pid: 2 })] }),
      /run a began/,
    ],
    [
      "inTheirOrder",
      "a run before an earlier one",
      sound({ ledger: [...whole("b", 10), ...whole("a", 100)] }),
      /run b, created after run a/,
    ],
    [
      "oneOutcome",
      "two ends",
      sound({ told: [told("a", "success", 80), told("a", "error", 90)] }),
      /success and error/,
    ],
    [
      "oneOutcome",
      "a run that is live again",
      sound({ told: [told("a", "success", 80), told("a", "running", 90)] }),
      /running \(get\) after/,
    ],
    [
      "cancelsAreKept",
      "an interrupt that ends as a success",
      sound({ asked: [cancel("a", "interrupt", 20)] }),
      /ended as success/,
    ],
    [
      "cancelsAreKept",
      "a rollback that ends as an interrupt",
      interrupted({ asked: [cancel("a", "rollback", 20)] }),
      /rollback.*ended as interrupted/,
    ],
    [
      "strategiesAreKept",
      "a run that outlives a new one with INTERRUPT",
      sound({
        works: [work("a", 1), work("b", 5, { strategy: "interrupt" })],
      }),
      /run a was live after run b/,
    ],
    [
      "strategiesAreKept",
      "a run that is only interrupted by a new one with ROLLBACK",
      interrupted({
        works: [work("a", 1), work("b", 5, { strategy: "rollback" })],
      }),
      /ended as interrupted/,
    ],
    [
      "rejectsAreKept",
      "a new run with REJECT beside a live one",
      sound({ works: [work("a", 1), work("b", 5, { strategy: "reject" })] }),
      /run b was created with REJECT while run a was live/,
    ],
    ["nobodyElseIsCancelled", "a run that nobody cancelled", interrupted({ asked: [] }), /nobody has asked/],
    [
      "nobodyElseIsCancelled",
      "a run that is gone though it was only interrupted",
      rolledBack({ asked: [cancel("a", "interrupt", 20)] }),
      /gone/,
    ],
    [
      "nothingIsLost",
      "a run that is still live",
      sound({ told: [final("a", "pending"), final("b", "success")] }),
      /pending at the end/,
    ],
    ["nothingIsLost", "a run that nobody knows of", sound({ told: [final("b", "success")] }), /run a is unknown/],
    [
      "nothingIsLost",
      "a success that has not executed all",
      sound({ ledger: [...whole("a", 10).slice(0, 5), ...whole("b", 100)] }),
      /step 1 has never/,
    ],
    [
      "nothingIsLost",
      "an error that was not planned",
      sound({ told: [final("a", "error", { error: "Error" }), final("b", "success")] }),
      /should not fail/,
    ],
    [
      "nothingIsLost",
      "a stateless run that has gone without having executed",
      sound({
        works: [work("a", 1, { vanishes: true })],
        ledger: [],
        told: [final("a", "gone")],
      }),
      /gone without/,
    ],
    [
      "createdOnce",
      "two runs of one request",
      sound({ works: [work("a", 1, { answers: ["run a", "run c"] })] }),
      /2 runs/,
    ],
    [
      "createdOnce",
      "a second one that only the ledger knows",
      sound({ ledger: whole("a", 10, { run: "run c" }) }),
      /a \(created\) is 2 runs/,
    ],
    [
      "createdOnce",
      "a refused one that is listed",
      sound({
        works: [work("a", 1, { answers: [], outcome: "refused" }), work("b", 5)],
        ledger: [],
      }),
      /a \(refused\) is 1 runs/,
    ],
    [
      "rollbackLeavesNothing",
      "an entry in the log",
      rolledBack({ threads: [thread({ history: [], listed: [] })] }),
      /in its log/,
    ],
    [
      "rollbackLeavesNothing",
      "a checkpoint",
      rolledBack({ threads: [thread({ log: [], listed: [] })] }),
      /in its history/,
    ],
    [
      "rollbackLeavesNothing",
      "an entry in the list",
      rolledBack({ threads: [thread({ log: [], history: [] })] }),
      /in its list/,
    ],
    [
      "logsAreExact",
      "a step twice",
      sound({ threads: [thread({ log: ["a 0 step", ...logOfBoth] })] }),
      /run a \(success\) has left/,
    ],
    [
      "logsAreExact",
      "a step that is missing",
      sound({ threads: [thread({ log: logOfBoth.slice(1) })] }),
      /run a \(success\) has left/,
    ],
    [
      "logsAreExact",
      "runs that are mixed",
      sound({
        threads: [thread({ log: ["a 0 step", "b 0 step", "a 1 step", "b 1 step"] })],
      }),
      /has left/,
    ],
    [
      "logsAreExact",
      "a completed step that an interrupt has lost",
      interrupted({ threads: [thread({ log: logOfBoth.slice(2) })] }),
      /run a \(interrupted\) has left \[\]/,
    ],
    [
      "logsAreExact",
      "an edit that is lost",
      sound({ edits: [{ thread: "t", entry: "e", outcome: "done" }] }),
      /in the log 0 times/,
    ],
    [
      "logsAreExact",
      "an edit that was refused",
      sound({
        edits: [{ thread: "t", entry: "e", outcome: "refused" }],
        threads: [thread({ log: [...logOfBoth, "e"] })],
      }),
      /in the log 1 times/,
    ],
    [
      "streamsAreExact",
      "a gap",
      sound({ readers: [reader(connection(0, [allEvents[0]!, ...allEvents.slice(2)]))] }),
      /event 3 came where 2 was due/,
    ],
    [
      "streamsAreExact",
      "a repeat",
      sound({ readers: [reader(connection(0, allEvents.slice(0, 2), "cut"), connection(2, allEvents.slice(1)))] }),
      /event 2 came where 3/,
    ],
    [
      "streamsAreExact",
      "a stream that says two things",
      sound({
        readers: [
          reader(connection(0, allEvents)),
          reader(connection(0, [...allEvents.slice(0, 3), event(4, "ended", "otherwise")])),
        ],
      }),
      /event 4 is ended and otherwise/,
    ],
    [
      "streamsAreExact",
      "an event after the end",
      sound({
        readers: [reader(connection(0, [...allEvents, event(5, "output")], "cut"), connection(5, []))],
      }),
      /event 5 came after the terminal event 4/,
    ],
    [
      "streamsAreExact",
      "a clean close without an end",
      sound({ readers: [reader(connection(0, allEvents.slice(0, 3), "closed"))] }),
      /without a terminal event/,
    ],
    [
      "streamsAreExact",
      "a reader that is told of no end",
      sound({ readers: [reader(connection(0, allEvents.slice(0, 3), "cut"))] }),
      /was left with "cut"/,
    ],
    [
      "streamsAreExact",
      "a reader whose run is said to be gone",
      sound({ readers: [reader(connection(0, allEvents.slice(0, 3), "gone"))] }),
      /was left with "gone"/,
    ],
    [
      "streamsAreExact",
      "a sequence that is said to be out of range",
      sound({ readers: [reader(connection(3, [], "out of range"))] }),
      /was left with "out of range" after 3/,
    ],
    [
      "streamsAreExact",
      "a stream that does not begin with the run",
      sound({ readers: [reader(connection(0, [event(1, "output"), event(2, "ended")]))] }),
      /the first event is output/,
    ],
    [
      "answersAgree",
      "servers that disagree",
      sound({
        told: [final("a", "success"), final("a", "error", { server: 1 }), final("b", "success")],
      }),
      /success \(get, server 0\), error \(get, server 1\)/,
    ],
    [
      "threadsAgree",
      "a busy thread without a live run",
      sound({ threads: [thread({ status: "busy", searched: "busy" })] }),
      /is busy/,
    ],
    [
      "threadsAgree",
      "a search that says something else",
      sound({ threads: [thread({ searched: "error" })] }),
      /error in the search/,
    ],
    [
      "threadsAgree",
      "a thread whose last run has failed and which is idle",
      sound({
        told: [final("a", "success"), final("b", "error", { error: "AttemptsLostError" })],
      }),
      /should be error/,
    ],
    [
      "threadsAgree",
      "a thread that has more to do and is idle",
      sound({ threads: [thread({ next: ["step"] })] }),
      /should be interrupted/,
    ],
    [
      "complaints",
      "what a client should never be told",
      sound({ complaints: ["Internal error 7"] }),
      /Internal error 7/,
    ],
  ];

  it.each(found)("%s: %s", (name, _, evidence, says) => {
    expect(broken(name, evidence).join("\n")).toMatch(says);
  });

  it("something, each of them", () => {
    expect(new Set(found.map(([name]) => name))).toEqual(new Set(Object.keys(checks)));
  });
});
