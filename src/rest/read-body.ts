import type { z } from "zod";
import type { NodeServerRequest } from "../server/node-handler.ts";
import { RestError } from "./errors.ts";

/**
 * Reads and checks a JSON body. Without a content type it is taken for JSON; any other than JSON is refused, so that no web
 * page can send one without its browser asking first.
 */
export async function readBody<T>(request: NodeServerRequest, schema: z.ZodType<T>, maxBytes: number): Promise<T> {
  const type = request.headers["content-type"];
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new RestError(415, `The body must be JSON (content-type application/json), not ${JSON.stringify(type)}`);
  }
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new RestError(415, `The body must not be compressed (content-encoding ${JSON.stringify(encoding)})`);
  }
  const body = parse(await readBytes(request, maxBytes));
  if (isTooDeep(body)) throw new RestError(422, `body: must not be nested deeper than ${maxDepth} levels`);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new RestError(422, result.error.issues.map(sentence).join("; "));
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

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RestError(422, "Invalid JSON in request body", {}, cause);
  }
}

/** What can be read can be much deeper than what can be written again. */
const maxDepth = 1000;

function isTooDeep(body: unknown): boolean {
  let level = [body].filter(hasParts);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === maxDepth) return true;
    level = level.flatMap((one) => Object.values(one).filter(hasParts));
  }
  return false;
}

const hasParts = (value: unknown): value is object => typeof value === "object" && value !== null;

function sentence({ path, message }: { path: PropertyKey[]; message: string }): string {
  return path.length === 0 ? `body: ${message}` : `${path.map(String).join(".")}: ${message}`;
}
