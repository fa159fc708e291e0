import { createHash, randomBytes } from "node:crypto";

/** A UUIDv7 (RFC 9562, section 5.7): ordered by time, so that indexes on it grow at one end. */
export function newId(now: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return format(bytes);
}

/** The namespace in which LangGraph's servers derive the id of a graph's own assistant. */
const graphNamespace = "6ba7b821-9dad-11d1-80b4-00c04fd430c8";

/** A graph's own assistant id: the UUIDv5 (RFC 9562, section 5.5) of its name, the same at each start and everywhere. */
export function graphAssistantId(graph: string): string {
  const digest = createHash("sha1")
    .update(Buffer.from(graphNamespace.replaceAll("-", ""), "hex"))
    .update(graph)
    .digest();
  digest[6] = 0x50 | (digest[6]! & 0x0f);
  digest[8] = 0x80 | (digest[8]! & 0x3f);
  return format(digest.subarray(0, 16));
}

function format(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
