import { Auth } from "@langchain/langgraph-sdk/auth";

/** Whoever calls is who they say; what is whose is told by metadata, as in LangGraph's documentation. */
export const auth = new Auth()
  .authenticate((request: Request) => ({ identity: request.headers.get("x-api-key") ?? "nobody", permissions: [] }))
  .on("*", ({ value, user }) => {
    if ("metadata" in value) value.metadata = { ...value.metadata, owner: user.identity };
    return { owner: user.identity };
  })
  .on("store", ({ value, user }) => {
    value.namespace = [user.identity, ...(value.namespace ?? [])];
  });
