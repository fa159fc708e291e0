import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>A conversation</title><link rel="icon" href="data:,">
<style>body{font:16px sans-serif;max-width:44rem;margin:1rem auto}.message{border-left:.3rem solid #36c;margin:.5rem;
padding:.5rem}.human{border-color:#393}#error{color:#a00}</style><div id="root"></div>
<script type="module" src="page.js"></script></html>`;

/** Bundles a page of test/browser and serves it: from an origin other than the server's, as other people's pages are. */
export async function servePage(name: string, alias?: Record<string, string>): Promise<Server> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../browser/${name}`, import.meta.url))],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    jsx: "automatic",
    alias,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const server = createServer((request, response) => {
    const isScript = new URL(request.url!, "http://page").pathname === "/page.js";
    response.writeHead(200, { "Content-Type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? outputFiles[0]!.contents : html);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}
