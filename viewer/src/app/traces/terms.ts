/** The terms of a search, as they are written, so that one of them can be dropped. */

/** Returns the terms that all must hold; one text where they are joined in another way. */
export function termsOf(search: string): string[] {
  const terms: string[] = [];
  let term = "";
  let depth = 0;
  let isQuoted = false;
  for (const character of search) {
    if (character === '"') isQuoted = !isQuoted;
    if (!isQuoted && character === "(") depth += 1;
    if (!isQuoted && character === ")") depth -= 1;
    if (/\s/.test(character) && !isQuoted && depth <= 0) {
      if (term) terms.push(term);
      term = "";
    } else {
      term += character;
    }
  }
  if (term) terms.push(term);
  if (terms.includes("or") || depth !== 0 || isQuoted) return [search.trim()].filter(Boolean);
  return terms.flatMap((one, at) => {
    if (one === "not") return [];
    return [terms[at - 1] === "not" ? `not ${one}` : one];
  });
}
