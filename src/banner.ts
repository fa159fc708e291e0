import type { About } from "./rest/welcome-page.ts";

/** What the person who has started the server reads on the terminal when it serves. */
export function banner({ version, graphs, data }: About, url: string): string {
  const served = graphs.filter(({ problem }) => problem === undefined).map(({ name }) => name);
  const rows = [
    ["API", `${url}   gRPC, gRPC-Web, Connect, and LangGraph's HTTP API`],
    ["Docs", `${url}/docs`],
    ["Health", `${url}/ok`],
    ["Graphs", served.join(", ") || "none"],
    ...graphs.flatMap(({ name, problem }) =>
      problem === undefined ? [] : [["Broken", `${name}: ${problem.split("\n", 1)[0]}`]],
    ),
    ["Data", data],
    ["Stop", "Ctrl-C; a second one stops at once"],
  ] as const;
  const lines = rows.map(([title, text]) => `  ${title.padEnd(8)}${text}`);
  return `\n  Reins ${version} serves.\n\n${lines.join("\n")}\n`;
}
