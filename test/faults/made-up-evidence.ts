import type { Asked, Evidence, Reader, StreamedEvent, ThreadAtEnd, Told, ToldStatus, Work } from "./evidence.ts";
import type { LedgerLine } from "./ledger.ts";
import type { Step } from "./plan.ts";

/** Evidence made up: two runs on a thread, of which the first is over before the second begins. */
export const polite: Step = { manner: "polite", ms: 20 };

export const work = (name: string, sentAt: number, more: Partial<Work> = {}): Work => ({
  plan: { work: name, steps: [polite, polite] },
  threadId: "t",
  strategy: "enqueue",
  durability: "sync",
  isDelayed: false,
  vanishes: false,
  sentAt,
  answers: [`run ${name}`],
  answeredAt: sentAt + 1,
  outcome: "created",
  ...more,
});

export const line = (
  kind: LedgerLine["kind"],
  name: string,
  at: number,
  more: Partial<LedgerLine> = {},
): LedgerLine => {
  const { step = 0, pid = 1 } = more;
  const call = `${name} ${step} ${pid}`;
  return { at, kind, thread: "t", run: `run ${name}`, work: name, step, node: "step", call, pid, ...more };
};

/** Both steps of a run, which it begins at this time and ends 50 later. */
export const whole = (name: string, at: number, more: Partial<LedgerLine> = {}): LedgerLine[] =>
  [0, 1].flatMap((step) => [
    line("begin", name, at + 30 * step, { ...more, step }),
    line("beat", name, at + 30 * step + 10, { ...more, step }),
    line("end", name, at + 30 * step + 20, { ...more, step, done: true }),
  ]);

export const told = (name: string, status: ToldStatus, at: number, more: Partial<Told> = {}): Told => ({
  sentAt: at - 1,
  at,
  server: 0,
  by: "get",
  run: `run ${name}`,
  status,
  ...more,
});

export const final = (name: string, status: ToldStatus, more: Partial<Told> = {}) =>
  told(name, status, 900, { isFinal: true, ...more });

export const cancel = (name: string | undefined, action: Asked["action"], sentAt: number, isKept = true): Asked => ({
  by: "cancel",
  thread: "t",
  run: name && `run ${name}`,
  action,
  sentAt,
  isKept,
});

export const event = (sequence: number, kind: StreamedEvent["kind"], says = kind as string): StreamedEvent => ({
  sequence,
  kind,
  says,
});
export const allEvents = [event(1, "created"), event(2, "attempt"), event(3, "output"), event(4, "ended")];
export const reader = (...connections: Reader["connections"]): Reader => ({ run: "run a", connections });
export const connection = (
  after: number,
  got: StreamedEvent[],
  end: Reader["connections"][number]["end"] = "ended",
) => ({
  server: 0,
  after,
  got,
  end,
});

export const logOfBoth = ["a 0 step", "a 1 step", "b 0 step", "b 1 step"];
export const thread = (more: Partial<ThreadAtEnd> = {}): ThreadAtEnd => ({
  thread: "t",
  server: 0,
  status: "idle",
  searched: "idle",
  next: [],
  log: logOfBoth,
  history: ["run a", "run b"],
  listed: [
    { run: "run b", work: "b", startedAt: 2 },
    { run: "run a", work: "a", startedAt: 1 },
  ],
  ...more,
});

export const sound = (more: Partial<Evidence> = {}): Evidence => ({
  leaseMs: 100,
  ledger: [...whole("a", 10), ...whole("b", 100)],
  works: [work("a", 1), work("b", 5)],
  told: [told("a", "success", 80), told("b", "running", 120), final("a", "success"), final("b", "success")],
  asked: [],
  edits: [],
  readers: [reader(connection(0, allEvents.slice(0, 2), "cut"), connection(2, allEvents.slice(2)))],
  freezes: [],
  threads: [thread()],
  complaints: [],
  ...more,
});

/** Both runs, of which the first was cancelled after its first step. */
export const interrupted = (more: Partial<Evidence> = {}): Evidence =>
  sound({
    ledger: [...whole("a", 10).slice(0, 5), ...whole("b", 100)],
    told: [told("a", "interrupted", 80, { action: "interrupt" }), final("a", "interrupted"), final("b", "success")],
    asked: [cancel("a", "interrupt", 20)],
    threads: [thread({ log: logOfBoth.slice(0, 1).concat(logOfBoth.slice(2)) })],
    ...more,
  });

/** Both runs, of which the first was rolled back. */
export const rolledBack = (more: Partial<Evidence> = {}): Evidence =>
  sound({
    told: [told("a", "interrupted", 80, { action: "rollback" }), final("a", "gone"), final("b", "success")],
    asked: [cancel("a", "rollback", 20)],
    threads: [
      thread({ log: logOfBoth.slice(2), history: ["run b"], listed: [{ run: "run b", work: "b", startedAt: 2 }] }),
    ],
    ...more,
  });
