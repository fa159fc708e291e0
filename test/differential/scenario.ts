/**
 * A script of REST calls as data. A scenario has threads of its own and is played in order; scenarios are played side by side
 * unless they say `alone`. `{name}` in paths and bodies stands for what an earlier step has saved.
 */
export interface Scenario {
  readonly name: string;
  /** What it does reaches beyond its own threads, or it freezes a server. */
  readonly isAlone?: boolean;
  readonly steps: readonly Step[];
}

export type Step = Call | Open | Collect | Leave | Until;

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A call whose answer is compared. */
export interface Call extends Request {
  readonly do: "call";
  /** Unique in its scenario; absent for a step that only prepares. */
  readonly id: string | undefined;
  /** Name → place in the answer's body, as `run_id` or `0.run_id`. */
  readonly save?: Readonly<Record<string, string>>;
  /** An answer that is not complete by then is compared as far as it came. */
  readonly limitMs?: number;
}

/** A call that goes on in the background: a waiter or a stream. */
export interface Open extends Request {
  readonly do: "open";
  readonly name: string;
  readonly limitMs?: number;
}

/** Compares what the call in the background has got, at its end. */
export interface Collect {
  readonly do: "collect";
  readonly id: string;
  readonly name: string;
}

/** Drops the background call's connection. */
export interface Leave {
  readonly do: "leave";
  readonly name: string;
}

/** Asks again until a field has one of the values, or the limit is over. With an id, the value in the end is compared. */
export interface Until {
  readonly do: "until";
  readonly id: string | undefined;
  readonly path: string;
  readonly field: string;
  readonly is: readonly unknown[];
  readonly limitMs: number;
}

/** An id that nothing has. */
export const unknownId = "5b0f3c70-7a52-4c67-9d0e-3f6a2b1c9d84";

type CallOptions = Partial<Omit<Call, "do" | "id" | "method" | "path">>;

const call =
  (method: string) =>
  (id: string, path: string, options: CallOptions = {}): Call => ({ do: "call", id, method, path, ...options });

export const get = call("GET");
export const put = call("PUT");
export const patch = call("PATCH");
export const remove = call("DELETE");
export const post = (id: string, path: string, body?: unknown, options: CallOptions = {}): Call =>
  call("POST")(id, path, { body, ...options });

/** The same without comparing the answer. */
export const prepare = (step: Call): Call => ({ ...step, id: undefined });

export const thread = (name = "t", body: object = {}): Call =>
  prepare(post("", "/threads", body, { save: { [name]: "thread_id" } }));

/** A run of the polite agent on thread t, by default one that works for twenty seconds. */
export const start = (name: string, body: object = {}, threadName = "t"): Call =>
  prepare(post("", `/threads/{${threadName}}/runs`, { ...long, ...body }, { save: { [name]: "run_id" } }));

export const long = { assistant_id: "agent", input: { step_ms: 20_000 } };
export const short = { assistant_id: "agent", input: { steps: 2 } };

export const finished = (name: string, body: object = short, threadName = "t"): readonly Step[] => [
  start(name, { ...short, ...body }, threadName),
  untilStatus(name, ["success", "error", "interrupted", "timeout"], threadName),
  untilThread(["idle", "error", "interrupted"], threadName),
];

export const untilStatus = (run: string, is: readonly string[], threadName = "t"): Until => ({
  do: "until",
  id: undefined,
  path: `/threads/{${threadName}}/runs/{${run}}`,
  field: "status",
  is,
  limitMs: 15_000,
});

/** Running, and in its second superstep: the first checkpoint with `work` as next one is there. */
export const untilAtWork = (threadName = "t"): Until => ({
  do: "until",
  id: undefined,
  path: `/threads/{${threadName}}/state`,
  field: "next.0",
  is: ["work"],
  limitMs: 15_000,
});

export const untilThread = (is: readonly string[], threadName = "t", id?: string): Until => ({
  do: "until",
  id,
  path: `/threads/{${threadName}}`,
  field: "status",
  is,
  limitMs: 5_000,
});

export const open = (name: string, method: string, path: string, body?: unknown): Open => ({
  do: "open",
  name,
  method,
  path,
  body,
  limitMs: 40_000,
});
export const collect = (id: string, name: string): Collect => ({ do: "collect", id, name });
export const leave = (name: string): Leave => ({ do: "leave", name });
