import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { accessFile } from "../../../src/access/access-file.ts";
import { createTokens } from "../../../src/access/tokens.ts";

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");

it("whoever sends tokens that nobody has signed does not make this server besiege their issuer", async () => {
  let looks = 0;
  const server = http.createServer((_, response) => {
    looks += 1;
    response.writeHead(503).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tokens = createTokens(
    accessFile.parse({ token_issuers: [{ issuer, audience: "a", owner: "o" }] }).token_issuers,
  );
  const token = `${encoded({ alg: "RS256" })}.${encoded({ iss: issuer })}.AAAA`;
  const refused = { reason: "ACCESS_UNAVAILABLE" };
  await Promise.all(Array.from({ length: 50 }, () => expect(tokens.identify(token)).rejects.toMatchObject(refused)));
  await expect(tokens.identify(token)).rejects.toMatchObject(refused);
  expect(looks).toBe(1);
  server.close();
});
