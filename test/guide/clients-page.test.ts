import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { guideChanges } from "../support/guide-snippets.ts";

it("docs/langgraph-clients.md has what must be written otherwise than in the guide", () => {
  const page = readFileSync(new URL("../../docs/langgraph-clients.md", import.meta.url), "utf8");
  const changes = Object.values(guideChanges).flatMap((ofLanguage) => Object.values(ofLanguage));
  const written = changes.flatMap((change) => Object.entries<string>(change)).flat();
  expect(written.filter((text) => !page.includes(text))).toEqual([]);
});
