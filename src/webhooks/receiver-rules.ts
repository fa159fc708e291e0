import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { type HostRule, isMeant } from "./host-rule.ts";

export interface ReceiverRulesOptions {
  /** Receivers that may be called although their address is not public. */
  readonly allow: readonly HostRule[];
  /** The only receivers that may be called; undefined: there is no such list. */
  readonly only: readonly HostRule[] | undefined;
  readonly httpsOnly: boolean;
  /** Whether this machine may be called: everybody who can ask for it is on it anyway. */
  readonly loopback: boolean;
}

/** Where webhooks may go. */
export interface ReceiverRules {
  /** What is wrong with a receiver as far as its URL tells, as the end of a sentence about it. */
  refusalOf(url: URL): string | undefined;
  /** Whether a connection for this host may go to this address, which its name has led to or which it is. */
  mayConnect(host: string, port: number, address: string): boolean;
}

export function createReceiverRules({ allow, only, httpsOnly, loopback }: ReceiverRulesOptions): ReceiverRules {
  const isListed = (rules: readonly HostRule[], host: string, port: number) =>
    rules.some((rule) => isMeant(rule, host, port));

  function mayConnect(host: string, port: number, address: string): boolean {
    if (isIP(address) === 0) return false;
    const range = rangeOf(address);
    if (range === "unicast" || (loopback && range === "loopback")) return true;
    return isListed(allow, plainName(host), port) || isListed(allow, address, port);
  }

  /** Of names nothing is known before they are resolved, but for those that always lead to this machine. */
  function mayLeadSomewhere(host: string, port: number): boolean {
    if (isIP(host) !== 0) return mayConnect(host, port, host);
    if (host !== "localhost" && !host.endsWith(".localhost")) return true;
    return ["127.0.0.1", "::1"].some((address) => mayConnect(host, port, address));
  }

  function isPortListed(host: string, port: number): boolean {
    return [...allow, ...(only ?? [])].some((rule) => rule.port !== undefined && isMeant(rule, host, port));
  }

  return {
    refusalOf(url) {
      const host = hostOf(url);
      const port = portOf(url);
      if (httpsOnly && url.protocol !== "https:") return "must begin with https://";
      if (only && !isListed(only, host, port)) return "must name one of the hosts that webhooks may call";
      if (!isPortOfTheWeb(port) && !isPortListed(host, port)) {
        return `must not use the port ${port}: of those below 1024 only 80 and 443 are for webhooks`;
      }
      if (!mayLeadSomewhere(host, port)) return "must lead to a public address";
      return undefined;
    },
    mayConnect,
  };
}

/** Below 1024 other protocols are at home, which must not be spoken to by way of a webhook. */
const isPortOfTheWeb = (port: number): boolean => port >= 1024 || port === 80 || port === 443;

const portOf = ({ port, protocol }: URL): number => (port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));

/** The name or the address, without what only spells it otherwise. */
const hostOf = ({ hostname }: URL): string => plainName(hostname);
const plainName = (name: string): string =>
  name
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();

/** RFC 6052: an IPv6 address through which a translator reaches the IPv4 address at its end. */
const translated = ipaddr.parseCIDR("64:ff9b::/96");
/** RFC 4291: all that is public in IPv6 today. */
const globalUnicast = ipaddr.parseCIDR("2000::/3");

/** What an address is for, by the registries of IANA; "unicast" for a public one and nothing else. */
function rangeOf(text: string): string {
  // One that is mapped to IPv6 is the IPv4 address itself.
  const address = ipaddr.process(text);
  if (address.kind() === "ipv4") return address.range();
  const ipv6 = address as ipaddr.IPv6;
  if (ipv6.match(translated as [ipaddr.IPv6, number])) {
    const embedded = new ipaddr.IPv4(ipv6.toByteArray().slice(-4)).range();
    return embedded === "unicast" ? embedded : "translated";
  }
  const range = ipv6.range();
  return range !== "unicast" || ipv6.match(globalUnicast as [ipaddr.IPv6, number]) ? range : "reserved";
}
