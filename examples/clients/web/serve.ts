/**
 * Bundles the page and serves it on a loopback port. The page itself calls the Reins server, from another origin: Reins allows
 * that to pages of loopback origins, and to those that REINS_CORS_ORIGINS names.
 *
 *   npm start                                                               in one terminal
 *   node examples/clients/web/serve.ts [http://127.0.0.1:2024] [page port]  in another
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [reinsUrl = "http://127.0.0.1:2024", port = "8024"] = process.argv.slice(2);
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const { outputFiles } = await build({
  entryPoints: [path("page.ts")],
  bundle: true,
  format: "esm",
  target: "es2024",
  sourcemap: "inline",
  write: false,
  define: { reinsUrl: JSON.stringify(reinsUrl) },
});

const files: Record<string, { type: string; content: string | Uint8Array }> = {
  "/": { type: "text/html", content: await readFile(path("index.html")) },
  "/page.css": { type: "text/css", content: await readFile(path("page.css")) },
  "/page.js": { type: "text/javascript", content: outputFiles[0]!.contents },
};

const server = createServer((request, response) => {
  const file = files[new URL(request.url ?? "/", "http://page").pathname];
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": `${file.type}; charset=utf-8` }).end(file.content);
});
await once(server.listen(Number(port), "127.0.0.1"), "listening");
console.log(`open http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
