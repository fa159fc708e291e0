import { Code, type ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { createError } from "./error-info.ts";
import type { NodeServerRequest } from "./node-messages.ts";

const rpcContentTypes = /^application\/(?:grpc|connect\+|proto\b)/;
const rpcPath = /^\/[a-z_]\w*(?:\.\w+)+\/\w+$/i;

/** True for a request that means to call an RPC, by its content type or by the look of its path. */
export function isRpcRequest(request: NodeServerRequest, path: string): boolean {
  return rpcContentTypes.test(request.headers["content-type"] ?? "") || rpcPath.test(path);
}

/** The answer to a call of an RPC that there is not. */
export function unknownMethod(path: string, handlers: readonly UniversalHandler[]): ConnectError {
  const [, service = "", method = ""] = path.split("/");
  const known = [...new Set(handlers.map((handler) => handler.service))];
  const methods = known.find((candidate) => candidate.typeName === service)?.methods.map((each) => each.name);
  const message = methods
    ? `${service} has no method "${method}"; it has ${methods.join(", ")}.`
    : `There is no service "${service}"; there are ${known.map((each) => each.typeName).join(", ")}.`;
  return createError({ code: Code.Unimplemented, reason: "UNKNOWN_METHOD", message });
}

/** The answer to any other request for something that is not here. */
export function unknownPath(path: string): ConnectError {
  return createError({ code: Code.NotFound, reason: "UNKNOWN_PATH", message: `There is nothing at "${path}".` });
}

/** Connect answers these statuses without a word when a request does not suit its RPC. */
export function describeMismatch(
  status: number,
  rpc: UniversalHandler,
  request: NodeServerRequest,
): { error: ConnectError; status: number; headers?: Record<string, string> } | undefined {
  const name = `${rpc.service.typeName}/${rpc.method.name}`;
  const mismatch = (reason: string, message: string) =>
    createError({ code: Code.InvalidArgument, reason, message: `${name} ${message}` });
  switch (status) {
    case 405: {
      const allowed = rpc.allowedMethods.join(", ");
      return {
        error: mismatch("WRONG_HTTP_METHOD", `is called with ${allowed}, not with ${request.method}.`),
        status,
        headers: { allow: allowed },
      };
    }
    case 415: {
      const types = contentTypes(rpc);
      const given = request.headers["content-type"] ?? "";
      return {
        error: mismatch("WRONG_CONTENT_TYPE", `does not take the content type "${given}"; it takes ${types}.`),
        status,
        headers: { "accept-post": types },
      };
    }
    case 505:
      return {
        error: mismatch("WRONG_HTTP_VERSION", "streams in both directions, which takes HTTP/2."),
        status,
        headers: { connection: "close" },
      };
    default:
      return undefined;
  }
}

function contentTypes(rpc: UniversalHandler): string {
  const connect = rpc.method.methodKind === "unary" ? "application/" : "application/connect+";
  return [`${connect}json`, `${connect}proto`, "application/grpc", "application/grpc-web"].join(", ");
}
