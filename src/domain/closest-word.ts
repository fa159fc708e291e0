/** The known word that somebody most likely meant: few letters of it are wrong, missing, too many or swapped. */
export function closestWord(word: string, known: readonly string[]): string | undefined {
  const wanted = plain(word);
  const allowed = Math.max(1, Math.floor(wanted.length / 4));
  return known
    .map((one) => ({ one, distance: distance(wanted, plain(one)) }))
    .filter((found) => found.distance <= allowed)
    .sort((a, b) => a.distance - b.distance)
    .at(0)?.one;
}

/** The end of a sentence about an unknown word, which asks whether a known one was meant if one comes near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = closestWord(word, known);
  return meant === undefined ? "." : `; did you mean ${meant}?`;
}

/** Case and the kind of dash are nobody's mistake in meaning. */
const plain = (word: string): string => word.toLowerCase().replaceAll("_", "-");

/** The least number of letters to change, add, leave out or swap with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(changed, row[j - 1]! + 1, rows[i - 1]![j]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
      }
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
