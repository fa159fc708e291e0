import { Auth } from "@langchain/langgraph-sdk/auth";

/** Auth files of other shapes: whoever calls is who the token says. */
const known = () =>
  new Auth().authenticate((request: Request) => {
    const [, identity = ""] = (request.headers.get("authorization") ?? "").split(" ");
    return { identity, permissions: [], team: identity.split(".")[0] };
  });

/** Nothing is said about what a user may do. */
export const known_only = known();

/** As in LangGraph's tutorial: some events of threads have handlers, and others have none. */
export const incomplete = known()
  .on("threads:create", ({ value, user }) => {
    value.metadata = { ...value.metadata, owner: user.identity };
    return { owner: user.identity };
  })
  .on("threads:read", ({ user }) => ({ owner: user.identity }));

/** Threads are for those whom their metadata lists. */
export const shared = known().on("*", ({ value, user }) => {
  const change = value as { metadata?: { readers?: unknown } };
  if ("metadata" in change && "if_exists" in change) {
    change.metadata = { ...change.metadata, readers: [user.identity, "everybody.else"] };
  }
  return { readers: { $contains: user.identity } };
});

/** The file names the tenant. */
export const tenants = new Auth()
  .authenticate((request: Request) => {
    const [, identity = ""] = (request.headers.get("authorization") ?? "").split(" ");
    return { identity, permissions: [], owner: identity.split(".")[0] };
  })
  .on("*", () => true);

export const silent = new Auth();
export const nothing = { authenticate: () => "root" };
