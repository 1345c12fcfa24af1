// Finds the key that somebody probably meant.

/** The candidate that takes the fewest edits to reach from `key`. A key without section is held against the last parts. */
export function nearestKey(key: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let fewest = Infinity;
  const wanted = key.toLowerCase();
  for (const candidate of candidates) {
    const last = candidate.slice(candidate.indexOf(".") + 1);
    const distance = Math.min(
      editDistance(wanted, candidate.toLowerCase()),
      // A right key in the wrong section, or in none, is nearer than any misspelt one.
      editDistance(wanted.slice(wanted.indexOf(".") + 1), last) + 0.5,
    );
    if (distance < fewest) {
      fewest = distance;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein (1965), one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
