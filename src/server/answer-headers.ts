import { hostOf, isLoopbackName } from "./host-check.ts";
import type { NodeServerRequest, NodeServerResponse } from "./node-messages.ts";

/** Of every answer: a browser neither guesses what it is nor keeps it, since whose it is depends on who has asked. */
export const plainHeaders = { "x-content-type-options": "nosniff", "cache-control": "no-store" } as const;

/** A year. */
const maxAgeSeconds = 31_536_000;

/** No browser shows an answer of gRPC; gRPC-Web is another matter. */
const grpc = /^application\/grpc(?:[+;]|$)/;

/** Sets what browsers are to know of an answer before anybody has written it. */
export function setAnswerHeaders(request: NodeServerRequest, response: NodeServerResponse, isTls: boolean): void {
  if (grpc.test(request.headers["content-type"] ?? "")) return;
  for (const [name, value] of Object.entries(plainHeaders)) response.setHeader(name, value);
  // A browser would keep it for all ports of localhost, whoever serves there.
  if (isTls && !isLoopbackName(hostOf(authorityOf(request)) ?? "")) {
    response.setHeader("strict-transport-security", `max-age=${maxAgeSeconds}`);
  }
}

const authorityOf = (request: NodeServerRequest): string | undefined =>
  "authority" in request ? request.authority : request.headers.host;
