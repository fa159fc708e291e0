import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./gates.ts";

export interface WebhookCall {
  readonly path: string;
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

/** What the receiver does with a call: answers with the status, or never. */
export type WebhookAnswer = number | "never" | { readonly status: number; readonly location: string };

/** A server that webhooks call. */
export interface WebhookReceiver {
  url(path: string): string;
  /** All calls of the path so far. */
  calls(path: string): WebhookCall[];
  /** Resolves to the calls when there are so many. */
  called(path: string, times?: number): Promise<WebhookCall[]>;
  /** How the next calls of the path are answered, in order; 204 without. */
  answer(path: string, ...answers: WebhookAnswer[]): void;
  close(): Promise<void>;
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const all: WebhookCall[] = [];
  const scripts = new Map<string, WebhookAnswer[]>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url!;
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
      all.push({ path, method: request.method, headers: request.headers, body });
      const answer = scripts.get(path)?.shift() ?? 204;
      if (answer === "never") return;
      if (typeof answer === "number") response.writeHead(answer).end();
      else response.writeHead(answer.status, { location: answer.location }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const calls = (path: string) => all.filter((call) => call.path === path);
  return {
    url: (path) => `http://127.0.0.1:${port}${path}`,
    calls,
    async called(path, times = 1) {
      await until(() => calls(path).length >= times);
      return calls(path);
    },
    answer: (path, ...answers) => void scripts.set(path, answers),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
