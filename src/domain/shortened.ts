/** A text of at most so many characters: of a longer one the beginning, with how much there was. */
export function shortened(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const rest = `… (${text.length} characters in all)`;
  return text.slice(0, characters - rest.length).toWellFormed() + rest;
}
