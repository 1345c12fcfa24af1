// Spans of time for people.

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** Exactly, as a flag takes it: "90s", "5m", "14d", "100ms". */
export function exactSpan(ms: number): string {
  if (ms === 0) return "0";
  const [unit, length] = units.find(([, one]) => ms % one === 0) ?? ["ms", 1];
  return `${ms / length}${unit}`;
}

/** About, in one unit: "0s", "45s", "3m", "26h", "12d". */
export function roughSpan(ms: number): string {
  const [unit, length] = units.find(([, one], at) => ms >= (at === 0 ? 2 * one : one)) ?? ["s", 1000];
  return `${Math.round(Math.max(0, ms) / length)}${unit}`;
}
