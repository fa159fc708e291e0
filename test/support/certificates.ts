import "reflect-metadata";
import { randomUUID, webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralNames,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** Node's, by the types of browsers, which the library has. */
const { subtle } = webcrypto as unknown as Crypto;
cryptoProvider.set(webcrypto as unknown as Crypto);

/** A certificate and its key, as PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  /** By default an hour ago. */
  readonly from?: number;
  /** By default in a month. */
  readonly until?: number;
  /** By default both. */
  readonly for?: "server" | "client";
}

export interface Authority {
  /** Its own certificate, as PEM. */
  readonly ca: string;
  /** Makes a certificate with these names. */
  issue(names: JsonGeneralNames, how?: IssueOptions): Promise<Pair>;
}

/** Names of this machine as a server. */
export const localNames: JsonGeneralNames = [
  { type: "dns", value: "localhost" },
  { type: "ip", value: "127.0.0.1" },
];

const hourMs = 3_600_000;
const monthMs = 30 * 24 * hourMs;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Makes an authority whom nobody knows but by its certificate. By its name it is told from others. */
export async function createAuthority(name: string = randomUUID()): Promise<Authority> {
  const own = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + monthMs),
    keys: own,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });

  return {
    ca: root.toString("pem"),
    async issue(names, { from = Date.now() - hourMs, until = Date.now() + monthMs, for: whom } = {}) {
      const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const certificate = await X509CertificateGenerator.create({
        subject: "CN=Somebody",
        issuer: root.subject,
        notBefore: new Date(from),
        notAfter: new Date(until),
        publicKey,
        signingKey: own.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new ExtendedKeyUsageExtension([
            ...(whom === "client" ? [] : [ExtendedKeyUsage.serverAuth]),
            ...(whom === "server" ? [] : [ExtendedKeyUsage.clientAuth]),
          ]),
          new SubjectAlternativeNameExtension(names),
        ],
      });
      const key = PemConverter.encode(await subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
      return { cert: certificate.toString("pem"), key };
    },
  };
}

/** A folder with the files of a server; what they hold can be replaced. */
export interface TlsFolder {
  readonly files: { readonly cert: string; readonly key: string; readonly clientCa: string | undefined };
  write(contents: Partial<Pair & { readonly clientCa: string }>): void;
  remove(): void;
}

export function createTlsFolder(contents: Pair & { readonly clientCa?: string | undefined }): TlsFolder {
  const folder = mkdtempSync(join(tmpdir(), "reins-tls-"));
  const file = (name: string) => join(folder, `${name}.pem`);
  const write: TlsFolder["write"] = (some) => {
    for (const [name, text] of Object.entries(some)) if (text !== undefined) writeFileSync(file(name), text);
  };
  write(contents as Pair);
  const clientCa = contents.clientCa === undefined ? undefined : file("clientCa");
  return {
    files: { cert: file("cert"), key: file("key"), clientCa },
    write,
    remove: () => rmSync(folder, { recursive: true }),
  };
}
