// The pair rule: the two sides alternate within one run, each pair gives one ratio, and the figure is the median of the
// ratios. One side alone drifts by a factor of three on a shared machine; two sides a few seconds apart drift together.

/** Beyond this the pairs contradict each other, and the figure says nothing. */
export const maximumSpread = 1.5;

export interface Target {
  readonly kind: "at least" | "at most" | "within";
  /** at least, at most: the bound of the ratio or figure. within: how far from 1 the ratio may be. */
  readonly value: number;
}

export interface PairedFigure {
  /** Medians of each side on its own, for orientation only. */
  readonly fila: number;
  readonly peer: number;
  readonly ratios: readonly number[];
  /** Median of `ratios`. */
  readonly ratio: number;
  /** Largest ratio over smallest. */
  readonly spread: number;
  readonly void: boolean;
}

export function pairedFigure(peer: readonly number[], fila: readonly number[]): PairedFigure {
  if (peer.length === 0 || peer.length !== fila.length) throw new Error("a pair has two sides");
  const ratios = fila.map((value, pair) => value / peer[pair]!);
  if (!ratios.every((ratio) => Number.isFinite(ratio) && ratio > 0))
    throw new Error(`no ratios: ${JSON.stringify(ratios)}`);
  const spread = Math.max(...ratios) / Math.min(...ratios);
  return {
    fila: median(fila),
    peer: median(peer),
    ratios,
    ratio: median(ratios),
    spread,
    void: spread > maximumSpread,
  };
}

export function meets(value: number, target: Target): boolean {
  switch (target.kind) {
    case "at least":
      return value >= target.value;
    case "at most":
      return value <= target.value;
    case "within":
      return Math.abs(value - 1) <= target.value;
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the share `q` of the values lies, between neighbours by their distance. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new Error("a quantile of nothing");
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}
