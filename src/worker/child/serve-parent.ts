import { flushCompileCache } from "node:module";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ChildMessage, ParentMessage } from "../protocol.ts";
import { Attempt, type AttemptHome } from "./attempt.ts";
import { attemptContext } from "./attempt-context.ts";
import { describeError } from "./describe-error.ts";
import { GraphRegistry } from "./graph-registry.ts";
import { inspect } from "./inspect.ts";
import { ParentChannel } from "./parent-channel.ts";
import { RunConsole } from "./run-console.ts";
import { provideSdkLogger } from "./sdk-logger.ts";
import { uncaughtExitCode } from "./uncaught-exit-code.ts";
import { EditRefused } from "./update-state.ts";

/** Serves the parent process over IPC until it is gone. */
export function serveParent(): void {
  const post = (message: ChildMessage, sent?: () => void) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => sent?.());
    else sent?.();
  };
  const channel = new ParentChannel(post);
  const registry = new GraphRegistry();
  const home: AttemptHome = { channel, registry };
  const attempts = new Map<string, Attempt>();
  const consoles = [new RunConsole(process.stdout), new RunConsole(process.stderr)];
  provideSdkLogger(process);

  /** One attempt begins in a turn of the event loop: many at once would keep waiting what the others put out. */
  let begun: Promise<unknown> = Promise.resolve();
  const start = async (message: Extract<ParentMessage, { type: "start" }>) => {
    const { attemptId, runId } = message.attempt;
    const attempt = new Attempt(message.attempt, home);
    attempts.set(attemptId, attempt);
    const before = begun;
    begun = before.then(() => nextTurn());
    await before;
    await attempt.execute();
    attempts.delete(attemptId);
    for (const console of consoles) console.finish(runId);
  };

  process.on("message", (message: ParentMessage) => {
    switch (message.type) {
      case "load":
        void registry.load(message.graphs).then((graphs) => {
          channel.send({ type: "loaded", graphs });
          // Now, since most children end by being killed.
          flushCompileCache();
        });
        break;
      case "start":
        void start(message);
        break;
      case "abort":
        attempts.get(message.attemptId)?.abort(message.action, message.reason);
        break;
      case "drain":
        attempts.get(message.attemptId)?.drain();
        break;
      case "stored":
        attempts.get(message.attemptId)?.stored(message.count);
        break;
      case "reply":
        channel.answer(message);
        break;
      case "inspect":
        void inspect(message.scope, message.inspection, home).then(
          (answer) => channel.send({ type: "inspected", scope: message.scope, ...answer }),
          (error) =>
            channel.send({
              type: "inspected",
              scope: message.scope,
              error: describeError(error),
              ...(error instanceof EditRefused && { refused: error.part }),
            }),
        );
        break;
      case "ping": {
        const running = Object.fromEntries([...attempts].map(([id, attempt]) => [id, attempt.running]));
        channel.send({ type: "pong", sequence: message.sequence, running });
        break;
      }
      default:
        message satisfies never;
    }
  });
  process.on("disconnect", () => process.exit());

  // Node runs both handlers in the context of the code that failed, so that its attempt is known.
  process.on("unhandledRejection", (thrown) => post(fault(thrown)));
  process.on("uncaughtException", (thrown) => post(fault(thrown), () => process.exit(uncaughtExitCode)));
}

function fault(thrown: unknown): ChildMessage {
  const attemptId = attemptContext.getStore()?.attemptId;
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return {
    type: "fault",
    ...(attemptId !== undefined && { attemptId }),
    error: { ...describeError(thrown), ...(stack !== undefined && { stack }) },
  };
}
