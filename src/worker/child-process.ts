import { fork } from "node:child_process";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { lifelineArgument, lifelineFd, machineNowMs } from "./child/watchdog.ts";
import { groupGone, killGroup } from "./child-group.ts";
import { createChildInbox, type InboxListener } from "./child-inbox.ts";
import { createChildLog } from "./child-log.ts";
import type { ParentMessage } from "./protocol.ts";

/** How long messages of a dead child may take to be read. The channel normally closes with the process. */
const channelCloseMs = 1_000;

/** What every child process is started with. */
export interface ChildProcessSettings {
  readonly entry: URL | string;
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whom it runs as; the server's own user when absent. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly log: Logger;
}

export interface ChildListener extends InboxListener {
  /** The runs in the process, for its log lines. */
  readonly runIds: () => readonly string[];
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The lease that was relayed last was over: its watchdog has killed it. */
  readonly leaseOver: boolean;
}

/** How a process ended, for a sentence. */
export const describeExit = ({ code, signal }: Pick<ChildExit, "code" | "signal">): string =>
  signal === null ? `exit code ${code}` : `signal ${signal}`;

/** A child process: the leader of its own process group, with a message channel and a lifeline. */
export interface RunningChild {
  readonly pid: number;
  /** `sent` is called when the message has gone out to the process, and never when it could not. Throws for what cannot be cloned. */
  send(message: ParentMessage, sent?: () => void): void;
  /** Tells the watchdog how long the lease of what the process executes lasts from now. Without one it is not killed for it. */
  renew(leaseMs: number): void;
  /** Tells the watchdog that the process executes nothing that has a lease. */
  release(): void;
  /** Kills the process and its whole group. */
  kill(): void;
  /** Resolves when the process has exited, its group is gone and its last message has been handed over. */
  readonly gone: Promise<ChildExit>;
}

/** Starts a child process; undefined when the system has no process to give. */
export function startChildProcess(settings: ChildProcessSettings, listener: ChildListener): RunningChild | undefined {
  const child = fork(settings.entry, [lifelineArgument], {
    env: { ...settings.env },
    cwd: settings.cwd,
    ...(settings.user && { uid: settings.user.uid, gid: settings.user.gid }),
    execArgv: [],
    serialization: "advanced",
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) {
    child.once("error", (error) => settings.log.error({ err: error }, "A child process could not be started"));
    return undefined;
  }
  const log = settings.log.child({ childPid: pid });
  // The other end is inherited by the child alone and this end by nobody: it closes with this process and only then.
  const lifeline = child.stdio[lifelineFd] as Socket;
  let leaseEndsAt: number | undefined;
  /** The last renewal came after the end of the lease before: the watchdog has most likely not waited for it. */
  let lapsed = false;
  let exited = false;

  for (const stream of ["stdout", "stderr"] as const) {
    const lines = createChildLog({ log, stream, runIds: listener.runIds });
    child[stream]?.on("data", lines.write).once("close", lines.end).on("error", ignore);
  }
  lifeline.on("error", ignore).resume();
  child.on("error", (error) => log.debug({ err: error }, "The channel to a child process failed"));
  const inbox = createChildInbox(listener);
  child.on("message", inbox.push);
  const disconnected = new Promise<void>((resolve) => {
    child.once("disconnect", () => {
      // Graph code may close the channel: a process that cannot be told to stop must not go on.
      if (!exited) killGroup(pid);
      resolve();
    });
  });
  const exit = new Promise<ChildExit>((resolve) => {
    child.once("exit", (code, signal) => {
      exited = true;
      resolve({ code, signal, leaseOver: signal === "SIGKILL" && (lapsed || leaseIsOver()) });
    });
  });

  function leaseIsOver(): boolean {
    return leaseEndsAt !== undefined && machineNowMs() >= leaseEndsAt;
  }

  async function leave(): Promise<ChildExit> {
    const outcome = await exit;
    await groupGone(pid as number);
    // A process that left the group may hold the channel open; what the child itself has sent is read long before.
    const patience = new AbortController();
    await Promise.race([disconnected, delay(channelCloseMs, undefined, { signal: patience.signal }).catch(ignore)]);
    patience.abort();
    await inbox.empty();
    if (child.connected) child.disconnect();
    lifeline.destroy();
    // The last lines are still being read; who holds the pipes for longer is not heard.
    const outputs = [child.stdout, child.stderr];
    setTimeout(() => outputs.map((stream) => stream?.destroy()), channelCloseMs).unref();
    return outcome;
  }

  return {
    pid,
    send(message, sent) {
      child.send(message, (error) => {
        if (error === null) sent?.();
      });
    },
    renew(leaseMs) {
      lapsed = leaseIsOver();
      leaseEndsAt = machineNowMs() + leaseMs;
      if (lifeline.writable) lifeline.write(`${leaseEndsAt}\n`);
    },
    release() {
      lapsed = leaseIsOver();
      leaseEndsAt = undefined;
      if (lifeline.writable) lifeline.write("\n");
    },
    kill() {
      if (!exited) killGroup(pid);
    },
    gone: leave(),
  };
}

function ignore(): void {}
