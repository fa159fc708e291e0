import { exportSPKI, generateKeyPair, importJWK, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { type AccessSettings, accessFile } from "../../../src/access/access-file.ts";
import { createTokens } from "../../../src/access/tokens.ts";
import { ownerKey } from "../../../src/domain/owner.ts";
import { startIssuer, type TestIssuer } from "../../support/token-issuer.ts";

let issuer: TestIssuer;
beforeEach(async () => {
  issuer = await startIssuer();
});
afterEach(async () => {
  vi.useRealTimers();
  await issuer.close();
});

const issuersOf = (...entries: object[]): AccessSettings["token_issuers"] =>
  z.parse(accessFile, { token_issuers: entries }).token_issuers;

/** Takes the tokens of the issuer, whose claim `tenant` names the owner. */
const tokens = (changes: object = {}) =>
  createTokens(
    issuersOf({
      issuer: issuer.url,
      audience: "reins",
      jwks_uri: issuer.jwksUri,
      claims: { owner: "tenant" },
      ...changes,
    }),
  );

const refused = { reason: "UNAUTHENTICATED", headers: { "www-authenticate": 'Bearer realm="reins"' } };
const unavailable = { reason: "ACCESS_UNAVAILABLE" };
const now = () => Math.floor(Date.now() / 1_000);

describe("a token says who calls", () => {
  it.each(["RS256", "PS256", "ES256", "EdDSA"])("signed by %s", async (alg) => {
    await issuer.rotate(alg);
    expect(await tokens().identify(await issuer.sign({ scope: "openid reins:read reins:cancel read" }))).toEqual({
      owner: "acme",
      actor: "ann",
      scopes: new Set(["read", "cancel"]),
      credential: `jwt:${issuer.url}`,
    });
  });

  it("for one of its audiences, of which one must be asked for", async () => {
    const token = await issuer.sign({ aud: ["other", "reins-too"] });
    expect(await tokens({ audience: ["reins", "reins-too"] }).identify(token)).toMatchObject({ owner: "acme" });
    await expect(tokens().identify(token)).rejects.toMatchObject(refused);
  });

  it("by claims inside others, and by names with dots", async () => {
    const claims = { owner: "https://acme.example/tenant", actor: "act.sub", scopes: "realm_access.roles" };
    const token = await issuer.sign({
      "https://acme.example/tenant": "t1",
      act: { sub: "agent-7" },
      realm_access: { roles: ["reins:create", "offline_access"] },
    });
    expect(await tokens({ claims }).identify(token)).toMatchObject({
      owner: "t1",
      actor: "agent-7",
      scopes: new Set(["create"]),
    });
  });

  it("by words of its own for scopes, and only by these", async () => {
    const claims = { owner: "tenant", scopes: "roles", scope_names: { operator: ["read", "cancel"] } };
    const token = await issuer.sign({ roles: ["operator", "reins:admin", "constructor", "__proto__"] });
    expect((await tokens({ claims }).identify(token)).scopes).toEqual(new Set(["read", "cancel"]));
  });

  it("with what all its tokens may, and no more when it says nothing", async () => {
    expect((await tokens({ grants: ["read"] }).identify(await issuer.sign())).scopes).toEqual(new Set(["read"]));
    expect((await tokens().identify(await issuer.sign())).scopes).toEqual(new Set());
    expect((await tokens().identify(await issuer.sign({ scope: { admin: true } }))).scopes).toEqual(new Set());
  });

  it.each(["auth0|7/x", "a/b", "../acme", "ACME GmbH", ".hidden"])("for an owner called %s", async (tenant) => {
    const { owner } = await tokens().identify(await issuer.sign({ tenant }));
    expect(owner).toBe(ownerKey(tenant));
    expect(owner).toMatch(/^\.[A-Za-z0-9_-]{43}$/);
  });

  it("for an owner whose name is a number, and for the one that the configuration names", async () => {
    expect(await tokens().identify(await issuer.sign({ tenant: 17 }))).toMatchObject({ owner: "17" });
    const fixed = tokens({ owner: "fixed", claims: {} });
    expect(await fixed.identify(await issuer.sign({ tenant: undefined }))).toMatchObject({ owner: "fixed" });
  });
});

describe("a token is no good", () => {
  const cases: [string, JWTPayload][] = [
    ["of another audience", { aud: "other" }],
    ["of no audience", { aud: undefined }],
    ["of an issuer that is not known", { iss: "https://other.example" }],
    ["of no issuer", { iss: undefined }],
    ["of an issuer that is no text", { iss: ["a"] as unknown as string }],
    ["without an end", { exp: undefined }],
    ["that has expired half a minute ago", { exp: now() - 31 }],
    ["that begins in more than half a minute", { nbf: now() + 60 }],
    ["without an owner", { tenant: undefined }],
    ["with an empty owner", { tenant: "" }],
    ["with several owners", { tenant: ["acme", "other"] }],
    ["without an actor", { sub: undefined }],
  ];
  it.each(cases)("%s", async (_, claims) => {
    await expect(tokens().identify(await issuer.sign(claims))).rejects.toMatchObject(refused);
  });

  it("but clocks may differ by half a minute", async () => {
    await tokens().identify(await issuer.sign({ exp: now() - 20 }));
    await tokens().identify(await issuer.sign({ nbf: now() + 20 }));
  });

  it.each(["", "x", "a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9.e30", "é.é.é"])("that is none: %j", async (text) => {
    await expect(tokens().identify(text)).rejects.toMatchObject(refused);
  });

  it("whose claims were changed after it was signed", async () => {
    const [head, , signature] = (await issuer.sign()).split(".");
    const [, claims] = (await issuer.sign({ tenant: "other" })).split(".");
    await expect(tokens().identify([head, claims, signature].join("."))).rejects.toMatchObject(refused);
  });

  it("without a signature", async () => {
    const claims = { iss: issuer.url, aud: "reins", sub: "ann", tenant: "acme", exp: now() + 60 };
    await expect(tokens().identify(new UnsecuredJWT(claims).encode())).rejects.toMatchObject(refused);
    const [, payload] = (await issuer.sign()).split(".");
    for (const alg of ["none", "None", "NONE"]) {
      const head = Buffer.from(JSON.stringify({ alg, kid: "key-1" })).toString("base64url");
      await expect(tokens().identify(`${head}.${payload}.`)).rejects.toMatchObject(refused);
    }
  });

  it("signed with the public key as a shared secret", async () => {
    const jwk = issuer.publicKeyOf("key-1");
    const pem = await exportSPKI((await importJWK(jwk, "RS256", { extractable: true })) as never);
    const claims = { iss: issuer.url, aud: "reins", sub: "ann", tenant: "acme", exp: now() + 60 };
    for (const secret of [pem, JSON.stringify(jwk), jwk.n!]) {
      const forged = await new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256", kid: "key-1" })
        .sign(new TextEncoder().encode(secret));
      await expect(tokens().identify(forged)).rejects.toMatchObject(refused);
    }
  });

  it("that brings its own key", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    const { kty, n, e } = (await crypto.subtle.exportKey("jwk", publicKey)) as Record<string, string>;
    const claims = { iss: issuer.url, aud: "reins", sub: "ann", tenant: "acme", exp: now() + 60 };
    for (const more of [{ jwk: { kty, n, e } }, { jku: "http://127.0.0.1:1/jwks" }, { kid: "key-1" }, {}] as object[]) {
      const forged = await new SignJWT(claims).setProtectedHeader({ alg: "RS256", ...more }).sign(privateKey);
      await expect(tokens().identify(forged)).rejects.toMatchObject(refused);
    }
  });

  it("of an issuer, signed by another that is known as well", async () => {
    const other = await startIssuer();
    try {
      const both = createTokens(
        issuersOf(
          ...[issuer, other].map(({ url, jwksUri }) => ({
            issuer: url,
            audience: "reins",
            jwks_uri: jwksUri,
            claims: { owner: "tenant" },
          })),
        ),
      );
      expect(await both.identify(await other.sign())).toMatchObject({ credential: `jwt:${other.url}` });
      await expect(both.identify(await other.sign({ iss: issuer.url }))).rejects.toMatchObject(refused);
    } finally {
      await other.close();
    }
  });

  it("by an algorithm that its issuer is not to use", async () => {
    await issuer.rotate("ES256");
    await expect(tokens({ algorithms: ["RS256"] }).identify(await issuer.sign())).rejects.toMatchObject(refused);
  });

  it("and what is said of it never quotes it", async () => {
    const token = await issuer.sign({ exp: now() - 100, secret: "s3cret" });
    const told = await tokens()
      .identify(token)
      .catch(({ message }: Error) => message);
    expect(told).toBe("The token has expired.");
  });
});

describe("an issuer's keys", () => {
  it("are asked for once by many tokens", async () => {
    const taken = tokens();
    const token = await issuer.sign();
    await Promise.all(Array.from({ length: 20 }, () => taken.identify(token)));
    await taken.identify(await issuer.sign({ sub: "bea" }));
    expect(issuer.asked).toEqual(["/jwks"]);
  });

  it("may change: a new one is found, and one that is gone is no good any more", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const taken = tokens();
    const old = await issuer.sign();
    await taken.identify(old);
    const kid = await issuer.rotate("ES256");
    issuer.drop("key-1");
    // Not at once, so that tokens with made-up keys do not send it a request each.
    await expect(taken.identify(await issuer.sign())).rejects.toMatchObject(refused);
    expect(issuer.asked).toHaveLength(1);
    vi.setSystemTime(Date.now() + 5_001);
    expect(await taken.identify(await issuer.sign({}, { kid }))).toMatchObject({ owner: "acme" });
    await expect(taken.identify(old)).rejects.toMatchObject(refused);
  });

  it("are looked at again after ten minutes, whether a new one was needed or not", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const taken = tokens();
    await taken.identify(await issuer.sign());
    issuer.drop("key-1");
    await taken.identify(await issuer.sign());
    vi.setSystemTime(Date.now() + 10 * 60_000 + 1);
    await expect(taken.identify(await issuer.sign())).rejects.toMatchObject(refused);
  });

  it.each(["with 500", "nonsense"] as const)("that cannot be had let nobody pass, until they can: %s", async (way) => {
    const taken = tokens();
    issuer.answers = way;
    await expect(taken.identify(await issuer.sign())).rejects.toMatchObject(unavailable);
    issuer.answers = "well";
    expect(await taken.identify(await issuer.sign())).toMatchObject({ owner: "acme" });
  });

  it("let nobody pass while nobody answers at all, or not in time", async () => {
    const taken = tokens();
    issuer.answers = "never";
    await expect(taken.identify(await issuer.sign())).rejects.toMatchObject(unavailable);
    await issuer.close();
    await expect(taken.identify(await issuer.sign())).rejects.toMatchObject(unavailable);
    await issuer.listen();
    issuer.answers = "well";
    expect(await taken.identify(await issuer.sign())).toMatchObject({ owner: "acme" });
  });
});

describe("the discovery document of an issuer", () => {
  const discovered = () => tokens({ jwks_uri: undefined });
  const path = "/.well-known/openid-configuration";

  it("says where its keys are, and is asked for once", async () => {
    const taken = discovered();
    const token = await issuer.sign();
    await Promise.all(Array.from({ length: 20 }, () => taken.identify(token)));
    expect(issuer.asked).toEqual([path, "/jwks"]);
  });

  it.each(["with 500", "nonsense", "as another"] as const)("that is not right lets nobody pass: %s", async (way) => {
    const taken = discovered();
    issuer.answers = way;
    const token = await issuer.sign();
    const asked = Array.from({ length: 20 }, () => taken.identify(token));
    await Promise.all(asked.map((one) => expect(one).rejects.toMatchObject(unavailable)));
    // Nor is it besieged meanwhile, by tokens that nobody may have signed.
    await expect(taken.identify(token)).rejects.toMatchObject(unavailable);
    expect(issuer.asked).toEqual([path]);
    issuer.answers = "well";
    const identity = await vi.waitFor(() => taken.identify(token), { timeout: 20_000, interval: 50 });
    expect(identity).toMatchObject({ owner: "acme" });
  });

  it("is not asked for by a token of somebody else", async () => {
    await expect(discovered().identify(await issuer.sign({ iss: "https://other.example" }))).rejects.toMatchObject(
      refused,
    );
    expect(issuer.asked).toEqual([]);
  });
});
