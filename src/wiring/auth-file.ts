import type { Logger } from "pino";
import { type AuthFile, createAuthFile } from "../access/langgraph/auth-file.ts";
import { type AuthProcess, createAuthProcess } from "../access/langgraph/auth-process.ts";
import { unhandled } from "../access/langgraph/events.ts";
import type { AuthFileSpec } from "../access/langgraph/messages.ts";
import { type ChildUser, environmentOf } from "../child-user.ts";
import type { Config } from "../config.ts";

export interface AuthFileOptions {
  readonly spec: AuthFileSpec;
  readonly config: Pick<Config, "childEnv" | "authEnv" | "authSecrets">;
  /** That of langgraph.json. */
  readonly env: Readonly<Record<string, string>>;
  readonly user: ChildUser | undefined;
  readonly log: Logger;
}

export interface RunningAuthFile {
  readonly file: AuthFile;
  readonly process: AuthProcess;
}

/** Starts the process of an auth file. Throws a sentence when the file cannot be used. */
export async function startAuthFile({ spec, config, env, user, log }: AuthFileOptions): Promise<RunningAuthFile> {
  const { authEnv, authSecrets, childEnv } = config;
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !isReins(name)));
  const process = createAuthProcess({
    spec,
    env: without(authEnv, { ...childEnv, ...(user && environmentOf(user)), ...own }),
    secrets: { ...authSecrets, ...only(authEnv, own) },
    cwd: globalThis.process.cwd(),
    user,
    log,
  });
  await process.start();
  const { handlers } = process;
  const unsaid = handlers.size > 0 ? unhandled(handlers) : [];
  if (unsaid.length > 0) {
    log.warn(
      { events: unsaid },
      "The auth file has no handler for these events: users reach what they have made themselves, and nothing of the store",
    );
  }
  return { file: createAuthFile(process, log), process };
}

/** What is the server's alone. */
const isReins = (name: string): boolean => name.startsWith("REINS_") || name.startsWith("MONGODB_URI");

/** The variables that graphs may have. */
export const without = (names: readonly string[], env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

const only = (names: readonly string[], env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => names.includes(name)));
