/** What a person wants to know of a server that runs. */
export interface About {
  readonly version: string;
  readonly graphs: readonly { readonly name: string; readonly problem?: string | undefined }[];
  /** Where runs and threads are kept. */
  readonly data: string;
  /** The server's process. */
  readonly pid: number;
}

/** True for a browser, which would rather have a page; a program that takes anything gets JSON. */
export function wantsPage(accept = ""): boolean {
  const quality = (wanted: string) => {
    const qualities = accept.split(",").map((range) => {
      const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
      if (type !== wanted) return 0;
      const given = parameters.find((parameter) => parameter.startsWith("q="));
      return given === undefined ? 1 : Number(given.slice(2)) || 0;
    });
    return Math.max(...qualities);
  };
  return quality("text/html") > quality("application/json");
}

export const welcomeStyle = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
  dl { display: grid; grid-template-columns: 5rem 1fr; gap: .5rem 1rem }
  dt { font-weight: 600 }
  dd { margin: 0; overflow-wrap: anywhere }
  ul { margin: 0; padding: 0; list-style: none }
`;

/** The page that a browser gets at "/". */
export function welcomePage({ version, graphs, data, pid }: About): string {
  const served = graphs.filter(({ problem }) => problem === undefined);
  const broken = graphs.filter(({ problem }) => problem !== undefined);
  const list = (items: readonly string[]) => `<ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul>`;
  const rows: (readonly [string, string])[] = [
    ["API", "gRPC, gRPC-Web and Connect, which describe themselves to <code>buf curl</code>, and LangGraph's HTTP API"],
    ["Docs", '<a href="docs">docs</a>, <a href="openapi.json">openapi.json</a>'],
    ["Health", '<a href="ok?check_db=true">ok</a>, <a href="info">info</a>, <a href="metrics">metrics</a>'],
    ["Graphs", served.length === 0 ? "none" : list(served.map(({ name }) => `<code>${escaped(name)}</code>`))],
    ...(broken.length === 0
      ? []
      : [
          [
            "Broken",
            list(broken.map(({ name, problem }) => `<code>${escaped(name)}</code>: ${escaped(problem ?? "")}`)),
          ] as const,
        ]),
    ["Data", `<code>${escaped(data)}</code>`],
    ["Stop", `Ctrl-C in its terminal, or SIGTERM to process ${pid}; a second one stops at once`],
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Reins</title>
<style>${welcomeStyle}</style>
<h1>Reins ${escaped(version)}</h1>
<p>Runs LangGraph.js agents, and stops them for real.</p>
<dl>
${rows.map(([title, text]) => `  <dt>${title}</dt><dd>${text}</dd>`).join("\n")}
</dl>
</html>
`;
}

/** Text as it may stand in a page. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
