import { checkLoadable, loadExport, registerTypeScript } from "../../../worker/child/load-module.ts";
import type { AuthFileSpec } from "../messages.ts";

export type Callback = (question: object) => unknown;

/** What an `Auth` of LangGraph's SDK holds. */
export interface LoadedAuth {
  readonly authenticate: (request: Request) => unknown;
  /** By the events that they are for. */
  readonly callbacks: Readonly<Record<string, Callback>>;
}

/** Loads an auth file. Throws a sentence's end for one that cannot be used. */
export async function loadAuth({ file, exportName }: AuthFileSpec): Promise<LoadedAuth> {
  checkLoadable(file, "auth files");
  registerTypeScript();
  const auth = (await loadExport(file, exportName)) as { "~handlerCache"?: Partial<LoadedAuth> } | null;
  // Its class is that of the copy of the SDK that the file finds; LangGraph's own server knows it by this field as well.
  const handlers = auth?.["~handlerCache"];
  if (typeof handlers !== "object" || handlers === null) {
    throw new Error(`its export "${exportName}" is no Auth of @langchain/langgraph-sdk/auth`);
  }
  const { authenticate, callbacks = {} } = handlers;
  if (typeof authenticate !== "function") {
    throw new Error("it says nothing about who calls: .authenticate(…) is missing");
  }
  const wrong = Object.entries(callbacks).find(([, callback]) => typeof callback !== "function");
  if (wrong) throw new Error(`its handler on "${wrong[0]}" is no function`);
  return { authenticate, callbacks };
}
