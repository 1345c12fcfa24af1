// Counts of values in buckets that grow with the value: four of equal width between two powers of two, so that a bucket is
// never wider than a quarter of its values (HDR histograms do the same). Recording costs some nanoseconds and no memory.

const perDoubling = 4;

export interface HistogramOptions {
  /** One step of what is recorded, in the unit that is shown: 0.001 when milliseconds are recorded and seconds shown. */
  readonly step: number;
  /** Values above it, in steps, are only known to be above. */
  readonly largest: number;
}

export class Histogram {
  readonly step: number;
  /** Upper bounds, inclusive, in the unit that is shown. */
  readonly bounds: readonly number[];
  /** One per bound, and the last for what is above. */
  readonly counts: Float64Array;
  #sum = 0;

  constructor({ step, largest }: HistogramOptions) {
    this.step = step;
    // Rounded, or 3 x 0.00005 would not be 0.00015.
    const shown = (steps: number): number => Number((steps * step).toPrecision(12));
    this.bounds = Array.from({ length: bucketOf(largest) + 1 }, (_, at) => shown(boundOf(at)));
    this.counts = new Float64Array(this.bounds.length + 1);
  }

  /** @param value in steps; what is below 0 (a clock set back) counts as 0 */
  record(value: number): void {
    const at = bucketOf(value);
    const last = this.counts.length - 1;
    (this.counts[at < last ? at : last] as number) += 1;
    if (value > 0) this.#sum += value;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Of all values, in the unit that is shown. */
  get sum(): number {
    return this.#sum * this.step;
  }
}

/** Bucket 0 holds values up to 1, bucket 1 up to 2, and so on to 4; then four for each doubling. */
function bucketOf(value: number): number {
  if (value <= 1) return 0;
  const before = value >= 2 ** 31 ? 2 ** 31 - 1 : Math.ceil(value) - 1;
  if (before < perDoubling) return before;
  const exponent = 31 - Math.clz32(before);
  return (exponent - 1) * perDoubling + ((before >>> (exponent - 2)) & (perDoubling - 1));
}

function boundOf(bucket: number): number {
  if (bucket < perDoubling) return bucket + 1;
  return (perDoubling + (bucket % perDoubling) + 1) * 2 ** (Math.floor(bucket / perDoubling) - 1);
}
