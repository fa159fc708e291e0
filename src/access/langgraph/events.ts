/** What the handlers of an auth file are asked about, by the names of `@langchain/langgraph-sdk/auth`. */
export const authEvents = [
  ...(["threads:create", "threads:read", "threads:update", "threads:delete"] as const),
  ...(["threads:search", "threads:create_run"] as const),
  ...(["assistants:create", "assistants:read", "assistants:update", "assistants:delete", "assistants:search"] as const),
  ...(["store:put", "store:get", "store:search", "store:list_namespaces", "store:delete"] as const),
] as const;
export type AuthEvent = (typeof authEvents)[number];

export const partsOf = (event: AuthEvent): { resource: string; action: string } => {
  const [resource = "", action = ""] = event.split(":");
  return { resource, action };
};

/** The name of the most specific handler for an event; undefined when none of them is for it. */
export function handlerFor(names: ReadonlySet<string>, event: AuthEvent): string | undefined {
  const { resource, action } = partsOf(event);
  return [event, resource, `*:${action}`, "*"].find((name) => names.has(name));
}

/** The events that nothing is said about. */
export const unhandled = (names: ReadonlySet<string>): AuthEvent[] =>
  authEvents.filter((event) => handlerFor(names, event) === undefined);
