import { handlerFor, partsOf } from "../events.ts";
import type { Answer, AuthQuestion, AuthRequest } from "../messages.ts";
import { readFilter } from "../read-filter.ts";
import type { LoadedAuth } from "./load-auth.ts";

/** What a file answers in place of an HTTPException when it only says no. */
const forbidden: Answer = { refused: { status: 403, message: "Forbidden", headers: [] } };

/** Asks the file who sends a request. Never rejects. */
export const authenticate = ({ url, method, headers }: AuthRequest, auth: LoadedAuth): Promise<Answer> =>
  answered(async () => {
    const told = await auth.authenticate(new Request(url, { method, headers: headers.map(([...pair]) => pair) }));
    return { user: plainJson(userOf(told)) as never };
  });

/** Asks the file's most specific handler for an event. Never rejects. */
export const authorize = ({ event, user, value: given, texts = {} }: AuthQuestion, auth: LoadedAuth): Promise<Answer> =>
  answered(async () => {
    const name = handlerFor(new Set(Object.keys(auth.callbacks)), event);
    if (name === undefined) return { failed: `there is no handler for ${event} any more` };
    const large = Object.entries(texts).map(([field, text]) => [field, text && JSON.parse(text)] as const);
    const before = large.map(([, one]) => JSON.stringify(one));
    const value: Record<string, unknown> = { ...given, ...Object.fromEntries(large) };
    const { permissions } = user;
    const said = await auth.callbacks[name]!({ event, ...partsOf(event), value, permissions, user });
    if (said === false) return forbidden;
    const now = large.map(([field]) => [field, JSON.stringify(value[field])] as const);
    const changed = now.filter(([, text], n) => text !== undefined && text !== before[n]) as [string, string][];
    for (const [field] of large) delete value[field];
    const answer = { value: plainJson(value) as Record<string, unknown>, texts: Object.fromEntries(changed) };
    if (said === true || said === undefined || said === null) return { ...answer, filter: [] };
    if (typeof said !== "object") throw new Error(`the handler on "${name}" returned a ${typeof said}`);
    return { ...answer, filter: [...readFilter(said)].map(({ ...condition }) => condition) as never };
  });

/** The user that an authenticator has returned, with what LangGraph's server puts in where it says nothing. */
function userOf(told: unknown): object {
  if (typeof told === "string") {
    return { identity: told, display_name: told, is_authenticated: true, permissions: [] };
  }
  const user = (told ?? {}) as Record<string, unknown>;
  if (typeof user.identity !== "string")
    throw new Error("authenticate returned neither a text nor an object with an identity");
  const permissions = Array.isArray(user.permissions) ? user.permissions : [];
  return {
    ...user,
    permissions,
    is_authenticated: user.is_authenticated ?? true,
    display_name: user.display_name ?? user.identity,
  };
}

async function answered(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    return refusalOf(error) ?? { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** An HTTPException, of whatever copy of the SDK. */
function refusalOf(error: unknown): Answer | undefined {
  if (typeof error !== "object" || error === null || !("status" in error) || !("headers" in error)) return undefined;
  const { status, headers, message } = error as { status: unknown; headers: unknown; message?: unknown };
  if (!Number.isInteger(status)) return undefined;
  return { refused: { status: status as number, message: String(message ?? ""), headers: headersOf(headers) } };
}

function headersOf(headers: unknown): [string, string][] {
  try {
    return [...new Headers((headers ?? {}) as Record<string, string>)];
  } catch {
    // What HTTP cannot carry is left out; it is refused all the same.
    return [];
  }
}

const plainJson = (value: object): unknown => JSON.parse(JSON.stringify(value));
