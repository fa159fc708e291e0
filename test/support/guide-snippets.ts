import { readFileSync } from "node:fs";

/**
 * Lines of LangSmith's guide "Cancel runs", one after the other, with its placeholders (`<THREAD_ID>`) filled in; `changes` are
 * texts in the lines and what to write instead.
 */
export function guideLines(
  files: readonly string[],
  values: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string>> = {},
): string {
  const folder = new URL("../guide/snippets/", import.meta.url);
  let lines = files.map((file) => readFileSync(new URL(file, folder), "utf8")).join("\n");
  for (const [from, to] of [
    ...Object.entries(values).map(([name, to]) => [`<${name}>`, to]),
    ...Object.entries(changes),
  ])
    lines = replaced(lines, from!, to!);
  return lines;
}

function replaced(lines: string, from: string, to: string): string {
  // A change of lines that are not there would prove nothing.
  if (!lines.includes(from)) throw new Error(`there is no ${from} in ${lines}`);
  return lines.replaceAll(from, to);
}

/** Changes that make the guide's long task end within some two seconds, by itself. */
export const shortTask = {
  python: { '"Long task"}]': '"Long task"}], "steps": 1, "delay_ms": 40' },
  javascript: { '"Long task" }]': '"Long task" }], steps: 1, delay_ms: 40' },
} as const;

/**
 * What of the guide's lines the SDKs do not know, and how it must be written. docs/langgraph-clients.md has the same.
 */
export const guideChanges = {
  python: {
    get: { "wait=True": 'params={"wait": True}' },
    join: { 'on_disconnect="cancel"': 'params={"on_disconnect": "cancel"}' },
    joinStream: { 'on_disconnect="cancel"': "cancel_on_disconnect=True" },
  },
  javascript: {
    interrupt: { "wait=true": "true" },
    rollback: { 'wait=true, action="rollback"': 'true, "rollback"' },
  },
} as const;
