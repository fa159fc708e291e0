import { ownerKey } from "../domain/owner.ts";
import type { CertificateEntry } from "./access-file.ts";
import type { ClientCertificate, Identity } from "./identity.ts";
import { unauthenticated } from "./refusals.ts";

/** Whose a verified client certificate is, by a table of the names that it may bear. */
export interface Certificates {
  /** Throws UNAUTHENTICATED for one whose names are not in the table. */
  identify(certificate: ClientCertificate): Identity;
}

export function createCertificates(table: readonly CertificateEntry[]): Certificates {
  return {
    identify({ subjectAltName }) {
      for (const name of namesOf(subjectAltName)) {
        const entry = table.find(({ san }) => matches(san, name));
        if (entry) {
          const { owner, actor = name, scopes } = entry;
          return { owner: ownerKey(owner), actor, scopes: new Set(scopes), credential: `certificate:${name}` };
        }
      }
      throw unauthenticated("The client's certificate bears no name that is known here.");
    },
  };
}

/** As it is, or with a star at the end for whatever follows a slash. */
const matches = (san: string, name: string): boolean =>
  san.endsWith("/*") ? name.startsWith(san.slice(0, -1)) : san === name;

/**
 * The URIs and then the DNS names of `subjectaltname`. Node puts a name that holds a comma, a quote or the like in quotes, as JSON has them, so that
 * no certificate can smuggle a second name in (https://nodejs.org/api/tls.html, CVE-2021-44532).
 */
export function namesOf(subjectAltName: string): string[] {
  const entries = [...subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?=, |$)/g)];
  const whole = entries.map(([text]) => text).join("");
  // What cannot be read whole is not read in part.
  if (whole !== subjectAltName) return [];
  const named = entries.map(([, kind, text = ""]) => ({
    kind,
    name: text.startsWith('"') ? (JSON.parse(text) as string) : text,
  }));
  return ["URI", "DNS"].flatMap((wanted) => named.filter(({ kind }) => kind === wanted).map(({ name }) => name));
}
