/** Answers whether a request may address this server by the given authority (Host or :authority). */
export type HostCheck = (authority: string | undefined) => boolean;

/**
 * Guards against DNS rebinding: a web page whose own name is made to point at 127.0.0.1 would pass the browser's same-origin
 * check, but its requests still carry that name. So only loopback names are served, and the extra ones that were allowed.
 *
 * @param allowedHosts more host names, without port.
 * @param isGuarded access control is on: such a page has no credentials, and a server that others reach has names that it does not
 * know of. Any name may be used then, unless some are allowed.
 */
export function createHostCheck(allowedHosts: readonly string[] = [], isGuarded = false): HostCheck {
  if (isGuarded && allowedHosts.length === 0) return () => true;
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  return (authority) => {
    const host = hostOf(authority);
    return host !== undefined && (isLoopbackName(host) || allowed.has(host));
  };
}

/** True for localhost, 127.0.0.0/8 and ::1. An IPv6 address may stand in brackets. */
export function isLoopbackName(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The lower-case host of an authority, without its port; undefined for what is no host and port. */
export function hostOf(authority: string | undefined): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(?::\d{1,5})?$/i.exec(authority ?? "")?.[1]?.toLowerCase();
}
