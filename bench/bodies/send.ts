import { hostileBodies } from "./hostile-bodies.ts";

/** Sends the body with the number that it is told, and tells what became of it. A process of its own, so that only the server is measured. */
process.on("message", async ({ url, place }: { url: string; place: number }) => {
  const { path, contentType, body } = hostileBodies[place]!();
  const method = path === "/store/items" ? "PUT" : "POST";
  const startedAt = performance.now();
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { "content-type": contentType },
    body: Buffer.from(body),
  });
  const text = await answer.text();
  process.send!({
    status: answer.status,
    bytes: text.length,
    says: text.slice(0, 120),
    ms: performance.now() - startedAt,
  });
});
