import type { AddressInfo, Server } from "node:net";
import { isLoopbackName } from "./host-check.ts";

/** A sentence for the person who starts the server. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** Throws a ListenError for a host that may not be listened on. */
export function requireLoopback(host: string): void {
  if (isLoopbackName(host)) return;
  throw new ListenError(
    `The host ${host} is not a loopback address. There is no access control yet, so the server only listens on ` +
      "127.0.0.1, [::1] or localhost; set one of them with --host.",
  );
}

/**
 * Starts to listen on a loopback address.
 *
 * @throws a ListenError for another than a loopback host, or a port that is taken or not allowed.
 */
export async function listenOn(server: Server, host: string, port: number): Promise<{ port: number; url: string }> {
  requireLoopback(host);
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
  return { port: address.port, url: `http://${name}:${address.port}` };
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
