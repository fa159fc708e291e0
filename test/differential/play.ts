import { setTimeout as sleep } from "node:timers/promises";
import {
  type Answer,
  createEventReader,
  createHttpClient,
  type HttpClient,
  type ServerEvent,
} from "../peers/http-client.ts";
import { type Call, type Open, type Scenario, type Step, unknownId } from "./scenario.ts";

/** What a server has answered, as far as it is compared. */
export interface Heard {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON as such, other text as text. */
  readonly body?: unknown;
  readonly events?: readonly ServerEvent[];
  /** Why there is none of this: no answer in time, or a step before has not given what this one needs. */
  readonly nothing?: string;
}

/** The answers by `<scenario>/<step>`, and the ids that the scenario has saved, by name. */
export interface Played {
  readonly answers: Map<string, { readonly heard: Heard; readonly names: ReadonlyMap<string, string> }>;
}

const sideBySide = 6;

export async function play(url: string, scenarios: readonly Scenario[]): Promise<Played> {
  const http = createHttpClient(url);
  const answers: Played["answers"] = new Map();
  const waiting = scenarios.filter((one) => !one.isAlone);
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await playScenario(http, next, answers);
  };
  try {
    await Promise.all(Array.from({ length: sideBySide }, worker));
    for (const one of scenarios) if (one.isAlone) await playScenario(http, one, answers);
    return { answers };
  } finally {
    http.close();
  }
}

async function playScenario(http: HttpClient, { name, steps }: Scenario, answers: Played["answers"]): Promise<void> {
  const saved = new Map([["unknown", unknownId]]);
  const background = new Map<string, Background>();
  for (const step of steps) {
    const heard = await playStep(http, step, saved, background);
    if (heard && "id" in step && step.id) {
      const names = new Map([...saved].map(([key, value]) => [value, key]));
      answers.set(`${name}/${step.id}`, { heard, names });
    }
  }
  for (const one of background.values()) one.leave();
}

async function playStep(
  http: HttpClient,
  step: Step,
  saved: Map<string, string>,
  background: Map<string, Background>,
): Promise<Heard | undefined> {
  if (step.do === "collect") return background.get(step.name)?.heard ?? { nothing: "was not opened" };
  if (step.do === "leave") return void background.get(step.name)?.leave();
  const missing = missingIn([step.path, "body" in step ? step.body : undefined], saved);
  if (missing) return { nothing: `needs ${missing}` };
  const fill = <T>(value: T): T => filled(value, saved) as T;
  if (step.do === "until") return until(http, { ...step, path: fill(step.path) });
  const ready = { ...step, path: fill(step.path), body: fill(step.body) };
  if (ready.do === "open") {
    background.set(ready.name, openCall(http, ready));
    return undefined;
  }
  const heard = await answerOf(http, ready);
  for (const [name, place] of Object.entries(ready.save ?? {})) {
    const id = at(heard.body, place);
    if (typeof id === "string") saved.set(name, id);
  }
  return heard;
}

async function answerOf(
  http: HttpClient,
  { method, path, body, raw, headers, limitMs = 30_000 }: Call,
): Promise<Heard> {
  try {
    const options = { limitMs, isRaw: raw !== undefined, ...(headers && { headers }) };
    return hear(await http.call(method, path, raw ?? body, options));
  } catch (error) {
    return { nothing: (error as Error).message };
  }
}

async function until(http: HttpClient, { path, field, is, limitMs }: Extract<Step, { do: "until" }>): Promise<Heard> {
  let value: unknown;
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(25)) {
    const { body, status } = await answerOf(http, { do: "call", id: undefined, method: "GET", path, limitMs: 5_000 });
    value = status === 200 ? at(body, field) : status;
    if (is.includes(value)) break;
  }
  return { body: value };
}

interface Background {
  readonly heard: Promise<Heard>;
  leave(): void;
}

function openCall(http: HttpClient, { method, path, body, limitMs = 40_000 }: Open): Background {
  let leave = () => {};
  const left = new Promise<Heard>((resolve) => {
    leave = () => resolve({ nothing: "left" });
  });
  const answer = http.call(method, path, body, {
    limitMs,
    onRequest: (drop) => void left.then(drop),
  });
  const heard = answer.then(hear, (error: Error): Heard => ({ nothing: error.message }));
  return { heard: Promise.race([heard, left]), leave };
}

const comparedHeaders = [
  "content-type",
  "location",
  "content-location",
  "x-pagination-total",
  "x-pagination-next",
  "allow",
];

function hear({ status, headers, text, isCut }: Answer): Heard {
  const kept = comparedHeaders.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
  const common = { status, headers: Object.fromEntries(kept), ...(isCut && { nothing: "no end in time" }) };
  if (!headers["content-type"]?.startsWith("text/event-stream")) return { ...common, body: parsed(text) };
  const events: ServerEvent[] = [];
  createEventReader((event) => events.push(event))(text);
  return { ...common, events };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function at(body: unknown, place: string): unknown {
  return place.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | null)?.[key], body);
}

const placeholder = /\{([a-z]\w*)\}/g;

function missingIn(value: unknown, saved: ReadonlyMap<string, string>): string | undefined {
  return [...JSON.stringify(value ?? "").matchAll(placeholder)]
    .map(([, name]) => name!)
    .find((name) => !saved.has(name));
}

function filled(value: unknown, saved: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return value.replace(placeholder, (_, name: string) => saved.get(name)!);
  if (Array.isArray(value)) return value.map((one) => filled(one, saved));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, saved)]));
}
