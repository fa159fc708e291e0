import type { z } from "zod";
import { BodyError } from "../bodies/body-error.ts";
import { parseJson } from "../bodies/fold-json.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import type { NodeServerRequest } from "../server/node-messages.ts";
import { RestError } from "./errors.ts";
import { RawJson } from "./json/raw-json.ts";

export interface ReadBodyOptions {
  readonly maxBytes: number;
  readonly large: LargeBodies;
  /** The names under which the route's body holds payloads; see `Route`. */
  readonly payloads: readonly string[];
}

/**
 * Reads and checks a JSON body. Without a content type it is taken for JSON; any other than JSON is refused, so that no web
 * page can send one without its browser asking first. Of a large body, payloads are RawJson.
 */
export async function readBody<T>(
  request: NodeServerRequest,
  schema: z.ZodType<T>,
  { maxBytes, large, payloads }: ReadBodyOptions,
): Promise<T> {
  const type = request.headers["content-type"];
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new RestError(415, `The body must be JSON (content-type application/json), not ${JSON.stringify(type)}`);
  }
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new RestError(415, `The body must not be compressed (content-encoding ${JSON.stringify(encoding)})`);
  }
  const bytes = await readBytes(request, maxBytes);
  const body = await parse(bytes, large, payloads).catch(refuse);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new RestError(422, complaints(result.error.issues));
}

async function parse(bytes: Buffer, large: LargeBodies, payloads: readonly string[]): Promise<unknown> {
  if (large.isSmallJson(bytes)) return parseJson(bytes);
  const { body, texts } = await large.readJson(bytes, payloads);
  for (const { path, text } of texts) {
    let holder = body as Record<string | number, unknown>;
    for (const step of path.slice(0, -1)) holder = holder[step] as typeof holder;
    Object.defineProperty(holder, path.at(-1)!, { value: new RawJson(text), enumerable: true });
  }
  return body;
}

function refuse(error: unknown): never {
  if (!(error instanceof BodyError)) throw error;
  switch (error.fault) {
    case "too_large":
      throw new RestError(413, `The body ${error.message}`, {}, error);
    case "busy":
      throw new RestError(503, error.message, { "retry-after": "1" }, error);
    case "field":
      throw new RestError(422, `${error.field}: ${error.message}`, {}, error);
    case "malformed":
      throw new RestError(422, "Invalid JSON in request body", {}, error);
    default:
      throw new RestError(422, `body: ${error.message}`, {}, error);
  }
}

async function readBytes(request: NodeServerRequest, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new RestError(413, `The body is too large; at most ${maxBytes} bytes are allowed`);
  if (Number(request.headers["content-length"]) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // The socket stays usable: a refused body is read to its end and dropped.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += (chunk as Buffer).length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** More than these nobody reads. */
const maxComplaints = 20;
const maxSentence = 500;

/** What is wrong with a body, in one sentence each. */
export function complaints(issues: readonly z.core.$ZodIssue[]): string {
  const more = issues.length > maxComplaints ? [`and ${issues.length - maxComplaints} more`] : [];
  return [...issues.slice(0, maxComplaints).map((issue) => sentence(issue).slice(0, maxSentence)), ...more].join("; ");
}

function sentence({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? `body: ${message}` : `${path.map(String).join(".")}: ${message}`;
}
