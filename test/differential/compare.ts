import { allowsPeer, covers, type KnownDifference, type PeerName } from "./known-differences.ts";
import { type Difference, differences, type Normal } from "./normalise.ts";

/** The answers of a server by call, normalised. */
export type Answers = ReadonlyMap<string, Normal>;

export interface Comparison {
  /** One for each call and peer: the worst that was found in it. */
  readonly totals: Record<"equal" | "theirs" | "listed" | "unlisted", number>;
  readonly unlisted: readonly (Difference & { readonly peer: PeerName; readonly call: string })[];
  /** As `<row> <peer>`: what the table says and no call has shown. */
  readonly unused: readonly string[];
}

/**
 * Compares each answer of Reins with those of the others. The Python server is the one to be compatible with: every difference from
 * it must be listed. Where the JavaScript server alone differs and Reins answers as Python does, the difference is theirs.
 */
export function compare(ours: Answers, peers: Readonly<Record<PeerName, Answers>>, known: readonly KnownDifference[]) {
  const totals: Comparison["totals"] = { equal: 0, theirs: 0, listed: 0, unlisted: 0 };
  const unlisted: Comparison["unlisted"][number][] = [];
  const used = new Set<string>();
  for (const [call, answer] of ours) {
    const fromPython = differences(answer, answerIn(peers.python, call));
    const fromJavascript = differences(answer, answerIn(peers.javascript, call));
    const shared = fromJavascript.filter(({ place }) => fromPython.some((one) => overlap(one.place, place)));
    const [python, javascript] = [judge("python", fromPython), judge("javascript", shared)];
    totals[python] += 1;
    totals[javascript === "equal" && fromJavascript.length > 0 ? "theirs" : javascript] += 1;

    function judge(peer: PeerName, found: readonly Difference[]): "equal" | "listed" | "unlisted" {
      const open = found.filter((one) => {
        const rows = known.filter(
          (row) => covers(row, { peer, call, ...one }) || (peer === "javascript" && follows(row, one)),
        );
        for (const row of rows) used.add(`${row.id} ${peer}`);
        return rows.length === 0;
      });
      unlisted.push(...open.map((one) => ({ peer, call, ...one })));
      return open.length > 0 ? "unlisted" : found.length > 0 ? "listed" : "equal";
    }

    /** What JavaScript answers where a row speaks of Python's answer: its own shape has other places. */
    function follows(row: KnownDifference, { place, theirs }: Difference): boolean {
      const near = fromPython.filter((one) => overlap(one.place, place));
      return allowsPeer(row, "javascript", theirs) && near.some((one) => covers(row, { peer: "python", call, ...one }));
    }
  }
  const rows = known.flatMap((row) => row.always.map((peer) => `${row.id} ${peer}`));
  return { totals, unlisted, unused: rows.filter((row) => !used.has(row)) } satisfies Comparison;
}

function answerIn(answers: Answers, call: string): Normal {
  const answer = answers.get(call);
  if (answer === undefined) throw new Error(`${call} was not played on every server`);
  return answer;
}

/** The same place, or one within the other. */
const overlap = (one: string, other: string) =>
  one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
