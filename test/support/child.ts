import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  type ChannelValue,
  FencedError,
  type JournalFlush,
  type JournalListQuery,
  type JournalPort,
  type JournalReadQuery,
  type StoredCheckpoint,
} from "../../src/checkpoints/journal-port.ts";
import { callStorage } from "../../src/worker/child-attempt.ts";
import type {
  AttemptEnd,
  AttemptSpec,
  ChildMessage,
  GraphReport,
  GraphSpec,
  Inspection,
  ItemsPort,
  OutputTuple,
  ParentMessage,
  StateReport,
} from "../../src/worker/protocol.ts";

const main = fileURLToPath(new URL("../../src/worker/child/main.ts", import.meta.url));

/** A graph of this folder's `child-graphs`. */
export function graph(file: string, exportName: string, name = exportName): GraphSpec {
  const path = fileURLToPath(new URL(`./child-graphs/${file}`, import.meta.url));
  return { name, file: path, exportName, isolation: "shared" };
}

/** A thread's journal in memory. */
export class MemoryJournal implements JournalPort {
  readonly #flushes = new Map<string, JournalFlush>();
  fenced = false;

  get flushes(): readonly JournalFlush[] {
    return [...this.#flushes.values()];
  }

  async append(flush: JournalFlush): Promise<void> {
    if (this.fenced) throw new FencedError("The attempt is fenced.");
    this.#flushes.set(flush.flushId, flush);
  }

  async read(query: JournalReadQuery): Promise<StoredCheckpoint | undefined> {
    return (await this.list({ ...query, limit: 1 }))[0];
  }

  async list(query: JournalListQuery): Promise<StoredCheckpoint[]> {
    const newestFirst = this.flushes.flatMap((flush) => flush.checkpoints).reverse();
    const before = newestFirst.findIndex((record) => record.checkpointId === query.beforeCheckpointId);
    return newestFirst
      .slice(before + 1)
      .filter((record) => query.namespace === undefined || record.namespace === query.namespace)
      .filter((record) => query.checkpointId === undefined || record.checkpointId === query.checkpointId)
      .slice(0, query.limit)
      .map((record) => {
        const writes = this.flushes
          .flatMap((flush) => flush.writes)
          .filter((write) => write.namespace === record.namespace && write.checkpointId === record.checkpointId);
        const values = [...Object.values(record.values), ...writes.map((write) => write.value)];
        return { ...record, writes, segmentBytes: this.#bytes(values) };
      });
  }

  #bytes(values: readonly ChannelValue[]): Record<string, Uint8Array> {
    const wanted = new Set(
      values.flatMap((value) => ("parts" in value ? value.parts.map((part) => part.segmentId) : [])),
    );
    const segments = this.flushes.flatMap((flush) => flush.segments);
    return Object.fromEntries(segments.filter((s) => wanted.has(s.segmentId)).map((s) => [s.segmentId, s.bytes]));
  }
}

type Message<T extends ChildMessage["type"]> = Extract<ChildMessage, { type: T }>;

/** An attempt as the parent sees it. */
export interface StartedAttempt {
  readonly events: OutputTuple[];
  readonly journal: MemoryJournal;
  readonly end: Promise<AttemptEnd>;
  abort(): void;
  drain(): void;
  /** Says that so many events are stored; without it each message is, at once. */
  stored(count: number): void;
}

/** A parent process for the real child's entry. */
export class ChildParent {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown[]>;
  stdout = "";
  stderr = "";
  readonly faults: Message<"fault">[] = [];
  readonly #journals = new Map<string, JournalPort>();
  readonly #items = new Map<string, ItemsPort>();
  readonly #listeners = new Set<(message: ChildMessage) => void>();
  #numbers = 0;

  constructor(env: Record<string, string> = {}) {
    this.process = fork(main, [], {
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { PATH: process.env.PATH, ...env },
    });
    this.exited = once(this.process, "exit");
    this.process.stdout?.on("data", (chunk) => (this.stdout += chunk));
    this.process.stderr?.on("data", (chunk) => (this.stderr += chunk));
    this.process.on("message", (message: ChildMessage) => {
      if (message.type === "request") void this.#answer(message);
      if (message.type === "fault") this.faults.push(message);
      for (const listener of this.#listeners) listener(message);
    });
  }

  send(message: ParentMessage): void {
    this.process.send(message);
  }

  async load(...graphs: GraphSpec[]): Promise<readonly GraphReport[]> {
    const loaded = this.next("loaded");
    this.send({ type: "load", graphs });
    return (await loaded).graphs;
  }

  start(
    graphName: string,
    spec: Partial<AttemptSpec> & { journal?: MemoryJournal; items?: ItemsPort; store?: boolean },
  ): StartedAttempt {
    const { journal = new MemoryJournal(), items, store = true, ...rest } = spec;
    const attemptId = `attempt-${++this.#numbers}`;
    this.#journals.set(attemptId, journal);
    if (items !== undefined) this.#items.set(attemptId, items);
    const events: OutputTuple[] = [];
    const stored = (count: number) => this.send({ type: "stored", attemptId, count });
    const listen = (message: ChildMessage) => {
      if (message.type !== "output") return;
      const own = message.of.filter((one) => one.attemptId === attemptId);
      for (const some of own) events.push(...some.events);
      if (store && own.length > 0) stored(events.length);
    };
    this.#listeners.add(listen);
    const end = this.next("end", (message) => message.attemptId === attemptId).then((message) => {
      this.#listeners.delete(listen);
      return message.end;
    });
    this.send({
      type: "start",
      attempt: {
        attemptId,
        runId: crypto.randomUUID(),
        threadId: "thread",
        assistantId: "assistant",
        graph: graphName,
        attempt: 1,
        config: { tags: [] },
        streamModes: ["values"],
        streamSubgraphs: false,
        durability: "sync",
        ...rest,
      },
    });
    return {
      events,
      journal,
      end,
      stored,
      abort: () => this.send({ type: "abort", attemptId, action: "interrupt", reason: "test" }),
      drain: () => this.send({ type: "drain", attemptId }),
    };
  }

  async inspect(journal: JournalPort, inspection: Inspection): Promise<readonly StateReport[]> {
    const scope = `inspection-${++this.#numbers}`;
    this.#journals.set(scope, journal);
    const inspected = this.next("inspected", (message) => message.scope === scope);
    this.send({ type: "inspect", scope, inspection });
    const { states, error } = await inspected;
    if (states === undefined) throw new Error(error?.message);
    return states;
  }

  /** The next message of a kind. */
  next<T extends ChildMessage["type"]>(
    type: T,
    matches: (message: Message<T>) => boolean = () => true,
  ): Promise<Message<T>> {
    return new Promise((resolve, reject) => {
      const listen = (message: ChildMessage) => {
        if (message.type !== type || !matches(message as Message<T>)) return;
        this.#listeners.delete(listen);
        resolve(message as Message<T>);
      };
      this.#listeners.add(listen);
      void this.exited.then((exit) => reject(new Error(`The child exited (${exit}): ${this.stderr}`)));
    });
  }

  async stop(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.exited;
  }

  async #answer(request: Message<"request">): Promise<void> {
    const { requestId, scope } = request;
    const journal = this.#journals.get(scope) as JournalPort;
    try {
      const result = await callStorage(journal, this.#items.get(scope), request);
      this.send({ type: "reply", requestId, result });
    } catch (error) {
      const { name, message } = error as Error;
      this.send({ type: "reply", requestId, error: { name, message } });
    }
  }
}

/** The lines of a file that may not be there yet. */
export function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** Waits for a condition; the test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

export function json(events: readonly OutputTuple[], name: string): unknown[] {
  return events.filter((event) => event[1] === name).map((event) => JSON.parse(event[3]));
}
