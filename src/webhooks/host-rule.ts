import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Which hosts somebody means who operates a server, and at which port; at any without one. */
export interface HostRule {
  /** In lower case, and in ASCII. Below a domain when it begins with a dot. */
  readonly name?: string;
  readonly range?: readonly [ipaddr.IPv4 | ipaddr.IPv6, number];
  readonly port?: number;
}

const shape = /^(?<host>\[[0-9a-f:./]+\]|[^\s:[\]@?#\\]+)(?::(?<port>\d{1,5}))?$/i;

/**
 * Reads `host`, `*.domain`, an address or a CIDR range, each with a port or without one; IPv6 stands in brackets. Undefined for
 * anything else, also for an address in a spelling that people take for another one (`0177.0.0.1`).
 */
export function readHostRule(text: string): HostRule | undefined {
  const { host, port } = shape.exec(text)?.groups ?? {};
  if (host === undefined || Number(port) > 65_535 || Number(port) === 0) return undefined;
  const which = host.startsWith("[") ? rangeOf(host.slice(1, -1), "ipv6") : (rangeOf(host, "ipv4") ?? nameOf(host));
  return which && { ...which, ...(port !== undefined && { port: Number(port) }) };
}

function rangeOf(text: string, kind: "ipv4" | "ipv6"): HostRule | undefined {
  const [address = "", bits, ...more] = text.split("/");
  if (more.length > 0 || isIP(address) !== (kind === "ipv4" ? 4 : 6) || !/^\d{0,3}$/.test(bits ?? "0"))
    return undefined;
  const most = kind === "ipv4" ? 32 : 128;
  const length = bits === undefined ? most : Number(bits || "x");
  // An address that is mapped to IPv6 is looked for as the IPv4 address that it is.
  if (!(length <= most) || ipaddr.process(address).kind() !== kind) return undefined;
  return { range: [ipaddr.parse(address), length] };
}

function nameOf(host: string): HostRule | undefined {
  const below = host.startsWith("*.") ? "." : "";
  const name = URL.parse(`http://${below ? host.slice(2) : host}/`)?.hostname.replace(/\.$/, "");
  if (host.includes("/") || !name || name.includes("*") || isIP(name) !== 0) return undefined;
  return { name: below + name };
}

/** Whether a host is meant, by its name or by an address of its. */
export function isMeant({ name, range, port: at }: HostRule, host: string, port: number): boolean {
  if (at !== undefined && at !== port) return false;
  if (name !== undefined) return name.startsWith(".") ? host.endsWith(name) : host === name;
  if (range === undefined || isIP(host) === 0) return false;
  const address = ipaddr.process(host);
  const [first, bits] = range;
  return address.kind() === first.kind() && address.match(first, bits);
}
