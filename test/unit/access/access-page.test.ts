import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { accessFile } from "../../../src/access/access-file.ts";
import { type Need, routeNeeds, rpcNeeds } from "../../../src/access/needs.ts";
import { accessPageCode } from "../../support/access-page.ts";

const page = readFileSync(new URL("../../../docs/access.md", import.meta.url), "utf8");

describe("docs/access.md", () => {
  it("shows an access file that is right", () => {
    const read = z.parse(accessFile, JSON.parse(accessPageCode("json", "token_issuers")));
    expect(read).toMatchObject({ token_issuers: [{ claims: { owner: "tenant" } }], show: ["reflection"] });
  });

  it("has a row for each field of that file, and no other", () => {
    const { token_issuers, client_certificates } = accessFile.shape;
    const { claims, ...issuer } = token_issuers.unwrap().element.shape;
    const tables = [
      Object.keys(accessFile.shape),
      [...Object.keys(issuer), ...Object.keys(claims.unwrap().shape).map((name) => `claims.${name}`)],
      Object.keys(client_certificates.unwrap().element.shape),
    ];
    const shown = page.split("| field | is | by default |\n").slice(1).map(rowsOf);
    expect(shown.map((rows) => rows.map(([field]) => plain(field!)).toSorted())).toEqual(
      tables.map((names) => names.toSorted()),
    );
  });

  it("says of each call what it takes", () => {
    const rows = rowsOf(page.split("| takes | RPCs | over HTTP |\n")[1]!);
    const shown = (column: number) =>
      Object.fromEntries(
        rows.flatMap((row) => [...row[column]!.matchAll(/`([^`]+)`/g)].map(([, call]) => [call, row[0]])),
      );
    expect(shown(1)).toEqual(inWords(rpcNeeds));
    expect(shown(2)).toEqual(inWords(routeNeeds));
  });
});

/** The cells of a table whose head has been read. */
function rowsOf(table: string): string[][] {
  const lines = table.split("\n").slice(1);
  const end = lines.findIndex((line) => !line.startsWith("|"));
  return lines.slice(0, end).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const plain = (cell: string): string => cell.replaceAll("`", "");

const inWords = (needs: Readonly<Record<string, Need>>): Record<string, string> =>
  Object.fromEntries(Object.entries(needs).map(([call, need]) => [call, words(need)]));

function words(need: Need): string {
  if (typeof need === "object") return `\`admin\`, or \`${need.tells}\` in \`show\``;
  return need === "public" ? "nothing" : `\`${need}\``;
}
