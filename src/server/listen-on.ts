import type { AddressInfo, Server } from "node:net";
import { isLoopbackName } from "./host-check.ts";

/** A sentence for the person who starts the server. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** What stands between the server and whoever reaches its address. */
export interface Guards {
  /** Access control is on: whoever calls says who that is. */
  readonly access: boolean;
  readonly tls: boolean;
  /** Somebody has said that it is to be without access control wherever it listens. */
  readonly insecureNoAuth: boolean;
}

/**
 * Judges whether an address may be listened on: one that other machines may reach only with access control, or when it was spelt out
 * that there is none. Answers what the person who starts the server is to be warned of.
 *
 * @throws a ListenError for an address that may not be.
 */
export function requireGuards(host: string, { access, tls, insecureNoAuth }: Guards): string[] {
  const warnings: string[] = [];
  if (access && insecureNoAuth) warnings.push("--insecure-no-auth does nothing: access control is on.");
  if (isLoopbackName(host)) return warnings;
  if (!access && !insecureNoAuth) {
    throw new ListenError(
      `The host ${host} is not a loopback address, and there is no access control: whoever reaches it might do everything. Turn ` +
        "access control on (--access or REINS_API_KEYS=true), listen on 127.0.0.1, [::1] or localhost (--host), or spell out " +
        "--insecure-no-auth.",
    );
  }
  if (!access) {
    warnings.push(
      `--insecure-no-auth: whoever reaches ${host} may read, start, stop and delete everything, and run what the graphs run. ` +
        "Only requests to loopback names and those of REINS_ALLOWED_HOSTS are answered, against pages that pretend to be here.",
    );
  } else if (!tls) {
    warnings.push(
      `${host} is served without TLS: keys and tokens travel in clear text. Set REINS_TLS_CERT and REINS_TLS_KEY, unless a proxy ` +
        "before it ends TLS.",
    );
  }
  return warnings;
}

/**
 * Starts to listen on an address.
 *
 * @throws a ListenError for one that may not be listened on, or a port that is taken or not allowed.
 */
export async function listenOn(
  server: Server,
  { host, port, guards }: { host: string; port: number; guards: Guards },
): Promise<{ port: number; url: string }> {
  requireGuards(host, guards);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host.replace(/^\[|\]$/g, ""), resolve);
  try {
    await promise;
  } catch (error) {
    throw explain(error, host, port);
  } finally {
    server.off("error", reject);
  }
  const address = server.address() as AddressInfo;
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { port: address.port, url: `${guards.tls ? "https" : "http"}://${name}:${address.port}` };
}

function explain(error: unknown, host: string, port: number): ListenError {
  const sentences: Record<string, string> = {
    EADDRINUSE: `The port ${port} on ${host} is already in use; choose another one with --port.`,
    EACCES: `The port ${port} on ${host} may not be used by this user; choose another one with --port.`,
    EADDRNOTAVAIL: `The host ${host} is not an address of this machine; choose another one with --host.`,
  };
  const { code = "", message } = error as NodeJS.ErrnoException;
  const sentence = sentences[code] ?? `The server cannot listen on port ${port} of ${host}: ${message}.`;
  return new ListenError(sentence, { cause: error });
}
