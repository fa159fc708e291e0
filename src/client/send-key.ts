import type { Interceptor } from "@connectrpc/connect";

/** An API key, or a token of an issuer that the server knows; a function is asked for it before each call, so that it may be renewed. */
export type ApiKey = string | (() => string | Promise<string>);

/** Says with every call who makes it, by the header that browsers and proxies know as a credential. */
export const sendKey =
  (apiKey: ApiKey): Interceptor =>
  (next) =>
  async (request) => {
    const key = typeof apiKey === "string" ? apiKey : await apiKey();
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };

/** The interceptors of a client with, or without, a key of its own. Those of its user come first, and see the call without the key. */
export const withKey = (apiKey: ApiKey | undefined, interceptors: readonly Interceptor[] = []): Interceptor[] =>
  apiKey === undefined ? [...interceptors] : [...interceptors, sendKey(apiKey)];
