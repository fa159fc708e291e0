import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from "jose";

/** Whoever makes tokens, as an OpenID Connect provider does: on loopback, with a discovery document and keys that change. */
export interface TestIssuer {
  readonly url: string;
  readonly jwksUri: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
  /** How it answers from now on: as it should, not at all, with a failure, with what is no set of keys, or as another issuer. */
  answers: "well" | "never" | "with 500" | "nonsense" | "as another";
  /** Adds a key, and makes tokens by it from now on. */
  rotate(alg: string): Promise<string>;
  /** Takes a key out of what is shown. */
  drop(kid: string): void;
  publicKeyOf(kid: string): JWK;
  /** A token of this issuer that is good for a minute, but for these changes; `undefined` takes a claim away. */
  sign(claims?: JWTPayload, how?: { kid?: string; header?: Partial<JWTHeaderParameters> }): Promise<string>;
  /** Closes its port, so that nobody answers there; `listen` opens it again. */
  close(): Promise<void>;
  listen(): Promise<void>;
}

interface IssuerKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function startIssuer(alg = "RS256"): Promise<TestIssuer> {
  const keys = new Map<string, IssuerKey>();
  const shown = new Set<string>();
  const asked: string[] = [];
  let current = "";
  const server = createServer((request, response) => {
    asked.push(request.url!);
    answer(request.url!, response);
  });
  function answer(path: string, response: ServerResponse): void {
    if (issuer.answers === "never") return;
    response.writeHead(issuer.answers === "with 500" ? 500 : 200, { "content-type": "application/json" });
    if (issuer.answers === "nonsense") response.end("[1, 2");
    else response.end(JSON.stringify(path === "/jwks" ? jwks() : discovery()));
  }
  const jwks = () => ({ keys: [...shown].map((kid) => keys.get(kid)!.jwk) });
  const discovery = () => ({
    issuer: issuer.answers === "as another" ? "https://other.example" : issuer.url,
    jwks_uri: issuer.jwksUri,
  });
  async function listen(port: number): Promise<number> {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }
  const port = await listen(0);
  const url = `http://127.0.0.1:${port}`;
  const issuer: TestIssuer = {
    url,
    jwksUri: `${url}/jwks`,
    asked,
    answers: "well",
    async rotate(next) {
      const { publicKey, privateKey } = await generateKeyPair(next, { extractable: true });
      const kid = `key-${keys.size + 1}`;
      keys.set(kid, { alg: next, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: next, use: "sig" } });
      shown.add(kid);
      current = kid;
      return kid;
    },
    drop: (kid) => void shown.delete(kid),
    publicKeyOf: (kid) => keys.get(kid)!.jwk,
    sign(claims = {}, { kid = current, header = {} } = {}) {
      const key = keys.get(kid)!;
      const now = Math.floor(Date.now() / 1_000);
      const whole = { iss: url, aud: "reins", sub: "ann", tenant: "acme", iat: now, exp: now + 60, ...claims };
      const payload = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
      return new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid, ...header }).sign(key.privateKey);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
    listen: async () => void (await listen(port)),
  };
  await issuer.rotate(alg);
  return issuer;
}
