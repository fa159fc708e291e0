import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { JournalFlush } from "../../src/checkpoints/journal-port.ts";
import { startWatchdog } from "../../src/worker/child/watchdog.ts";
import type { AttemptSpec, ChildMessage, GraphSpec, ParentMessage } from "../../src/worker/protocol.ts";

/**
 * A child process that speaks the protocol and behaves as it is told: by an attempt's input (a {@link FakeScript}), an
 * inspection's or a graph's name. It executes no graph.
 */
export interface FakeScript {
  readonly act:
    | "finish"
    | "polite"
    | "deaf"
    | "busy"
    | "crash"
    | "exit"
    | "uncaught"
    | "rejection"
    | "end-then-die"
    | "late"
    | "output"
    | "journal"
    | "save-on-abort"
    | "flood"
    | "disconnect"
    | "junk"
    | "malformed"
    | "leave-behind";
  /** First starts a process that would outlive it, and sends its pid as output. */
  readonly grandchild?: boolean;
  readonly count?: number;
  /** Messages to send as they are; "ATTEMPT" in them stands for the attempt's id. */
  readonly raw?: readonly object[];
  /** Lines to print first. */
  readonly print?: readonly string[];
}

const running = new Map<string, { script: FakeScript; spec: AttemptSpec }>();
const replies = new Map<number, (reply: Extract<ParentMessage, { type: "reply" }>) => void>();
let lastRequest = 0;

function send(message: ChildMessage, sent: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, sent);
}

function request(scope: string, method: "append" | "read" | "list", argument: unknown) {
  lastRequest += 1;
  const requestId = lastRequest;
  send({ type: "request", requestId, scope, method, args: [argument] } as ChildMessage);
  return new Promise<Extract<ParentMessage, { type: "reply" }>>((resolve) => replies.set(requestId, resolve));
}

function flush(flushId: string): JournalFlush {
  return { flushId, checkpoints: [], writes: [], segments: [] };
}

function output(attemptId: string, data: unknown): void {
  send({ type: "output", of: [{ attemptId, events: [["custom", "custom", [], JSON.stringify(data)]] }] });
}

function end(attemptId: string, kind: "success" | "stopped" | "drained" = "success", sent?: () => void): void {
  running.delete(attemptId);
  send({ type: "end", attemptId, end: { kind } }, sent);
}

function block(): never {
  for (;;);
}

async function load(graphs: readonly GraphSpec[]): Promise<void> {
  for (const { name, file } of graphs) {
    if (name === "hangs") return;
    if (name === "dies" || (name === "dies-while-file-exists" && existsSync(file))) process.exit(9);
  }
  send({
    type: "loaded",
    graphs: graphs.map(({ name }) =>
      name === "broken" ? { name, problem: "It is broken" } : { name, nodes: ["node"] },
    ),
  });
}

async function start(spec: AttemptSpec): Promise<void> {
  const { attemptId, runId } = spec;
  const script = JSON.parse(spec.input ?? '{"act":"finish"}') as FakeScript;
  running.set(attemptId, { script, spec });
  if (script.grandchild) output(attemptId, spawn("sleep", ["600"], { stdio: "inherit" }).pid);
  for (const line of script.print ?? []) process.stdout.write(`${line}\n`);
  output(attemptId, "started");
  switch (script.act) {
    case "finish":
      return end(attemptId);
    case "busy":
      // Not before the message above has gone out.
      setTimeout(block, 10);
      return;
    case "leave-behind":
      return end(attemptId, "success", () => setTimeout(block, 10));
    case "crash":
      process.kill(process.pid, "SIGSEGV");
      return;
    case "exit":
      process.exit(7);
      return;
    case "uncaught":
      send({ type: "fault", attemptId, error: { name: "RangeError", message: "uncaught" } }, () => process.exit(70));
      return;
    case "rejection":
      send({ type: "fault", attemptId, error: { name: "Error", message: "unhandled" } });
      return;
    case "end-then-die":
      return end(attemptId, "success", () => process.kill(process.pid, "SIGKILL"));
    case "late": {
      end(attemptId);
      output(attemptId, "late");
      const reply = await request(attemptId, "append", flush("late"));
      process.stdout.write(`late reply ${reply.error?.name}\n`);
      return;
    }
    case "output":
      for (let index = 0; index < (script.count ?? 10); index += 1) output(attemptId, index);
      return end(attemptId);
    case "journal": {
      const wrote = await request(attemptId, "append", flush("f1"));
      const read = await request(attemptId, "read", { namespace: "" });
      const list = await request(attemptId, "list", { limit: 2 });
      const foreign = await request("somebody-else", "read", { namespace: "" });
      output(
        attemptId,
        [wrote, read, list, foreign].map(({ result, error }) => error ?? result ?? null),
      );
      return end(attemptId);
    }
    case "flood": {
      const line = Buffer.alloc(1024, "x");
      line[1023] = 0x0a;
      for (let index = 1; index < (script.count ?? 1); index += 1) process.stdout.write(line);
      // The end says that all of it was taken.
      process.stdout.write(line, () => end(attemptId));
      return;
    }
    case "disconnect":
      // It would go on for ever.
      setInterval(() => {}, 1_000);
      process.disconnect?.();
      return;
    case "junk":
      process.send?.("junk");
      process.send?.({ type: "ready" });
      process.send?.({ type: "end" });
      process.send?.({ type: "end", attemptId: "somebody-else", end: { kind: "triumph" } });
      process.send?.({ type: "output", of: [{ attemptId: "somebody-else", events: ["x"] }] });
      process.send?.({ type: "pong" });
      process.stdout.write(`\x1e${runId}\x1fjunk was sent\n`);
      return end(attemptId);
    case "malformed":
      for (const message of script.raw ?? []) {
        process.send?.(JSON.parse(JSON.stringify(message).replaceAll("ATTEMPT", attemptId)));
      }
      return;
  }
}

async function abort(attemptId: string): Promise<void> {
  const script = running.get(attemptId)?.script;
  if (script?.act === "polite") end(attemptId, "stopped");
  if (script?.act === "save-on-abort") {
    await request(attemptId, "append", flush("last"));
    end(attemptId, "stopped");
  }
}

async function inspect({ scope, inspection }: Extract<ParentMessage, { type: "inspect" }>): Promise<void> {
  if (inspection.graph === "crashes") process.exit(8);
  if (inspection.graph === "never-answers") return;
  if (inspection.graph === "blocks") block();
  const { result, error } = await request(scope, "read", { namespace: inspection.kind });
  if (error === undefined) {
    send({ type: "inspected", scope, states: [{ checkpointNs: String(result), next: [], tasks: [], interrupts: [] }] });
  } else {
    send({ type: "inspected", scope, error });
  }
}

// A script that has only "save-on-abort" left to do runs no node function.
function counts(): Record<string, number> {
  return Object.fromEntries([...running].map(([id, { script }]) => [id, script.act === "save-on-abort" ? 0 : 1]));
}

await startWatchdog();
process.on("message", (message: ParentMessage) => {
  switch (message.type) {
    case "load":
      return void load(message.graphs);
    case "start":
      return void start(message.attempt);
    case "abort":
      return void abort(message.attemptId);
    case "drain":
      return running.get(message.attemptId)?.script.act === "polite" ? end(message.attemptId, "drained") : undefined;
    case "reply":
      replies.get(message.requestId)?.(message);
      replies.delete(message.requestId);
      return;
    case "inspect":
      return void inspect(message);
    case "ping":
      return send({ type: "pong", sequence: message.sequence, running: counts() });
  }
});
