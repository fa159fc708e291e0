import { setTimeout as sleep } from "node:timers/promises";
import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";

/** An auth file of the shape that LangGraph's documentation has, with tokens by which it misbehaves. */
const tokens: Record<string, { identity: string; permissions: string[]; org: string }> = {
  "alice-token": { identity: "alice", permissions: ["threads:write"], org: "acme" },
  "bob-token": { identity: "bob", permissions: [], org: "acme" },
};

const faults: Record<string, () => unknown> = {
  "throws-token": () => {
    throw new Error("the password of the directory is hunter2");
  },
  "late-token": () => sleep(60_000),
  "exit-token": () => process.exit(3),
  "busy-token": () => {
    for (;;);
  },
  "nobody-token": () => ({ permissions: [] }),
  "empty-token": () => "",
  "polite-token": () => {
    throw new HTTPException(429, {
      message: "Come back later",
      headers: { "retry-after": "7", "content-length": "1" },
    });
  },
  "odd-token": () => {
    throw new HTTPException(200, { message: "all is well" });
  },
  "environment-token": () => ({ identity: "environment", permissions: [], variables: { ...process.env } }),
};

export const auth = new Auth()
  .authenticate(async (request: Request) => {
    const [, token = ""] = (request.headers.get("authorization") ?? "").split(" ");
    const fault = faults[token];
    if (fault) return (await fault()) as string;
    const user = tokens[token];
    if (!user) {
      throw new HTTPException(401, {
        message: "Invalid token",
        headers: { "www-authenticate": 'Bearer realm="tests"' },
      });
    }
    const { pathname } = new URL(request.url);
    return { ...user, display_name: user.identity.toUpperCase(), asked: `${request.method} ${pathname}` };
  })
  .on("*", async ({ event, user, value }) => {
    const { metadata } = value as { metadata?: Record<string, unknown> };
    if (metadata?.please === "wait") await sleep(60_000);
    if (metadata?.please === "throw") throw new Error("the password of the directory is hunter2");
    if (metadata?.please === "refuse")
      throw new HTTPException(402, { message: "Pay first", headers: { "x-price": "3" } });
    if (metadata?.please === "say no") return false as never;
    if (metadata?.please === "misspell") return { owner: { $is: user.identity } } as never;
    if (metadata?.please === "forget") return { owner: undefined } as never;
    if (event.startsWith("store:")) return true as never;
    if ("metadata" in value) {
      value.metadata ??= {};
      value.metadata.owner = user.identity;
    }
    return { owner: user.identity };
  })
  .on("store", ({ user, value }) => {
    if (value.namespace?.[0] === "mine") value.namespace[0] = user.identity;
    if (value.namespace?.[0] !== user.identity) throw new HTTPException(403, { message: "Not your namespace" });
  });
