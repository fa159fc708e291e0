import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { lifelineArgument, lifelineFd } from "../../worker/child/watchdog.ts";
import { groupGone, killGroup } from "../../worker/child-group.ts";
import { createChildLog } from "../../worker/child-log.ts";
import { cannotTell } from "../refusals.ts";
import {
  type Answer,
  type AuthFileSpec,
  type AuthQuestion,
  type AuthRequest,
  type FromProcess,
  fromProcess,
  type ToProcess,
} from "./messages.ts";

export interface AuthProcessOptions {
  readonly spec: AuthFileSpec;
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Variables that no other process may read. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whom it runs as; the server's own user when absent. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly log: Logger;
}

/** The process in which an auth file runs. It is started anew when it ends; until then nobody passes. */
export interface AuthProcess {
  /** Throws a sentence when the file cannot be used. */
  start(): Promise<void>;
  /** The names of the file's handlers, as it was loaded last. */
  readonly handlers: ReadonlySet<string>;
  /** Rejects with ACCESS_UNAVAILABLE while there is no process, and when it does not answer in time. */
  ask(
    question: ({ readonly type: "authenticate" } & AuthRequest) | ({ readonly type: "authorize" } & AuthQuestion),
  ): Promise<Answer>;
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** A file that cannot be used: a sentence for the person who starts the server. */
export class AuthFileError extends Error {
  override readonly name = "ConfigError";
}

const entry = new URL(`./process/main.${import.meta.url.endsWith(".js") ? "js" : "ts"}`, import.meta.url);

const loadMs = 60_000;
/** What is not answered by then is refused. */
const answerMs = 5_000;
/** A process that has left a question unanswered must at least say that it is there. */
const pongMs = 2_000;
const firstPauseMs = 200;
const longestPauseMs = 30_000;
/** Questions at a time: more than that are not answered in time anyway. */
const mostAsked = 10_000;

interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export function createAuthProcess(options: AuthProcessOptions): AuthProcess {
  const { spec, log } = options;
  const asked = new Map<number, Asked>();
  let current: ChildProcess | undefined;
  let isReady = false;
  let handlers: ReadonlySet<string> = new Set();
  let lastId = 0;
  let failures = 0;
  let restart: NodeJS.Timeout | undefined;
  let awaitsPong: NodeJS.Timeout | undefined;
  let stopped = false;
  let gone: Promise<void> = Promise.resolve();

  /** Resolves when the file is loaded; rejects with what is wrong with it, or how its process ended. */
  function launch(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { env, cwd, user } = options;
    const child = fork(entry, [lifelineArgument], {
      env: { ...env },
      cwd,
      ...(user && { uid: user.uid, gid: user.gid }),
      execArgv: [],
      serialization: "advanced",
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
    });
    current = child;
    const { pid } = child;
    const left = Promise.withResolvers<void>();
    gone = left.promise;
    const lifeline = child.stdio?.[lifelineFd] as Socket | undefined;
    lifeline?.on("error", ignore).resume();
    for (const stream of ["stdout", "stderr"] as const) {
      const lines = createChildLog({ log: log.child({ authPid: pid }), stream, runIds: () => [] });
      child[stream]?.on("data", lines.write).once("close", lines.end).on("error", ignore);
    }
    const limit = setTimeout(() => {
      reject(new AuthFileError(`${nameOf(spec)}: it is not loaded after ${loadMs / 1000} s.`));
      kill(child);
    }, loadMs);
    child.on("message", (message) => {
      const { data = unreadable(message) } = fromProcess.safeParse(message);
      switch (data.type) {
        case "ready":
          handlers = new Set(data.handlers);
          isReady = true;
          return resolve();
        case "unusable":
          reject(new AuthFileError(`${nameOf(spec)} cannot be used: ${data.problem}.`));
          return kill(child);
        case "pong":
          clearTimeout(awaitsPong);
          awaitsPong = undefined;
          return;
        case "answer":
          failures = 0;
          asked.get(data.id)?.resolve(data.answer);
      }
    });
    child.on("error", (error) => {
      log.error({ err: error }, "The auth file's process, or its channel, failed");
      if (pid === undefined) ended("it could not be started");
    });
    // Its code may close the channel: what cannot be asked must not go on.
    child.once("disconnect", () => kill(child));
    child.once("exit", (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));

    function ended(how: string): void {
      if (current !== child) return;
      current = undefined;
      isReady = false;
      clearTimeout(limit);
      clearTimeout(awaitsPong);
      awaitsPong = undefined;
      lifeline?.destroy();
      void (pid === undefined ? Promise.resolve() : groupGone(pid)).then(left.resolve);
      reject(new AuthFileError(`${nameOf(spec)} cannot be used: its process ended (${how}).`));
      for (const one of asked.values()) one.reject(away());
    }

    child.send({ type: "start", spec, secrets: options.secrets } satisfies ToProcess, ignore);
    void promise.then(() => clearTimeout(limit), ignore);
    return promise;
  }

  /** Keeps one running, with longer and longer pauses while none is of any use. */
  function keepRunning(): void {
    void gone.then(() => {
      if (stopped) return;
      failures += 1;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
      log.error({ failures, pauseMs }, "The auth file's process is gone: nobody passes until another one has started");
      restart = setTimeout(() => {
        launch().catch((error: Error) => log.error(error.message));
        keepRunning();
      }, pauseMs);
    });
  }

  /** One that does not even say that it is there is blocked for good. */
  function examine(): void {
    const child = current;
    if (!child || awaitsPong) return;
    awaitsPong = setTimeout(() => {
      log.error("The auth file's process does not answer at all, and is ended");
      kill(child);
    }, pongMs);
    child.send({ type: "ping" } satisfies ToProcess, ignore);
  }

  return {
    async start() {
      await launch();
      keepRunning();
    },

    get handlers() {
      return handlers;
    },

    get pid() {
      return current?.pid;
    },

    ask(question) {
      const child = current;
      if (!child || !isReady || asked.size >= mostAsked) return Promise.reject(away());
      const id = ++lastId;
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const timer = setTimeout(() => {
        reject(cannotTell("The deployment's auth file has not answered in time; try again."));
        examine();
      }, answerMs);
      asked.set(id, { resolve, reject });
      child.send({ ...question, id } as ToProcess, (error) => {
        if (error) reject(away(error));
      });
      return promise.finally(() => {
        clearTimeout(timer);
        asked.delete(id);
      });
    },

    async stop() {
      stopped = true;
      clearTimeout(restart);
      if (current) kill(current);
      await gone;
    },
  };
}

/** What is no answer says so in the place of one, so that whoever asked is refused at once. */
function unreadable(message: unknown): FromProcess {
  const { id = 0 } = message as { readonly id?: number };
  return {
    type: "answer",
    id,
    answer: { failed: "its process sent something that is no answer: a user of no shape, perhaps" },
  };
}

const nameOf = ({ file, exportName }: AuthFileSpec): string => `The auth file ${file}:${exportName}`;

const away = (cause?: unknown) =>
  cannotTell(
    "Who calls cannot be found out: the deployment's auth file is not running at the moment; try again.",
    cause,
  );

function kill({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) killGroup(pid);
}

function ignore(): void {}
