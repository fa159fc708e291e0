import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Logger } from "pino";

/** PEM files. */
export interface TlsFiles {
  /** The server's certificate, and those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** Of the authorities whose client certificates are taken; without it none is asked for. */
  readonly clientCa?: string | undefined;
}

/** What a connection is encrypted with, as Node takes it. */
export interface TlsContext {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string[];
  readonly minVersion: "TLSv1.2";
}

export interface Tls {
  /** As it was last found to be good. */
  readonly context: TlsContext;
  /** Looks now and then whether the files have changed, until the signal aborts, and hands over what is new and good. */
  follow(apply: (context: TlsContext) => void, signal: AbortSignal): void;
  /** Looks at once. */
  look(): Promise<void>;
}

export interface TlsOptions {
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Between two looks: a watch would miss the links by which Kubernetes replaces files. */
  readonly lookMs?: number;
  readonly now?: () => number;
}

/** A sentence for the person who starts the server. */
export class TlsFileError extends Error {
  override readonly name = "ConfigError";
}

const dayMs = 24 * 3_600_000;
/** How long before its end a certificate is warned of, once a day. */
const warnedMs = 14 * dayMs;

/** Reads certificate, key and authorities. Rejects with a sentence for what is missing or does not fit together. */
export async function openTls(files: TlsFiles, { log, lookMs = 5_000, now = Date.now }: TlsOptions): Promise<Tls> {
  let texts = await readTexts(files);
  let { context, expires } = check(texts, files);
  let warnedAt = -Infinity;
  let apply: (context: TlsContext) => void = () => {};
  let problem = "";
  tell("The TLS certificate");

  function tell(what: string): void {
    log.info({ file: files.cert, expires }, `${what} is good until ${expires.toISOString()}.`);
    warnedAt = -Infinity;
    warn();
  }

  function warn(): void {
    const left = expires.getTime() - now();
    if (left > warnedMs || now() - warnedAt < dayMs) return;
    warnedAt = now();
    const found = { file: files.cert, expires };
    if (left <= 0) log.error(found, `The TLS certificate has expired on ${expires.toISOString()}.`);
    else log.warn(found, `The TLS certificate expires on ${expires.toISOString()}; replace it before.`);
  }

  async function look(): Promise<void> {
    try {
      const found = await readTexts(files);
      if (found.every((text, place) => text === texts[place])) {
        problem = "";
        warn();
        return;
      }
      const good = check(found, files);
      apply(good.context);
      ({ context, expires } = good);
      texts = found;
      problem = "";
      tell("The TLS certificate was replaced; the new one");
    } catch (error) {
      const { message } = error as Error;
      // Once, and not at each look.
      if (message !== problem) log.error(`${message} The former certificate and key stay in use.`);
      problem = message;
    }
  }

  return {
    get context() {
      return context;
    },
    look,
    follow(listener, signal) {
      apply = listener;
      let timer: NodeJS.Timeout;
      const lookLater = () => {
        if (signal.aborted) return;
        timer = setTimeout(() => look().finally(lookLater), lookMs).unref();
      };
      lookLater();
      signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
    },
  };
}

type Texts = readonly (string | undefined)[];

function readTexts({ cert, key, clientCa }: TlsFiles): Promise<Texts> {
  return Promise.all([cert, key, clientCa].map((file) => file && readText(file)));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new TlsFileError(`The TLS file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

function check([cert = "", key = "", ca]: Texts, files: TlsFiles): { context: TlsContext; expires: Date } {
  const [own] = certificatesIn(cert, files.cert);
  const fits = attempt(`The TLS key ${files.key} is none`, () => own!.checkPrivateKey(createPrivateKey(key)));
  if (!fits) throw new TlsFileError(`The TLS key ${files.key} is not that of the certificate ${files.cert}.`);
  const context: TlsContext = {
    cert,
    key,
    // One by one: of several in one text Node takes all, but of what is no certificate among them it says nothing.
    ...(ca !== undefined && { ca: certificatesIn(ca, files.clientCa!).map(String) }),
    minVersion: "TLSv1.2",
  };
  attempt(`The TLS files ${files.cert} and ${files.key} cannot be used`, () => createSecureContext(context));
  return { context, expires: own!.validToDate };
}

function certificatesIn(text: string, file: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? [];
  if (blocks.length === 0) throw new TlsFileError(`There is no certificate in the TLS file ${file}.`);
  return attempt(`A certificate in the TLS file ${file} cannot be read`, () =>
    blocks.map((block) => new X509Certificate(block)),
  );
}

/** Says what was tried when it fails. */
function attempt<T>(problem: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new TlsFileError(`${problem}: ${(error as Error).message}.`);
  }
}
