// Runs the pairs of a benchmark and makes its figures.
import type { Bench, Figure } from "./bench.ts";
import { pairedFigure } from "./pairs.ts";
import type { PairedFigure, Target } from "./pairs.ts";

/** One run of one side, in fresh processes on a fresh directory. */
export interface Measured {
  readonly value: number;
  /** Shown beside it, and in --json as medians. */
  readonly details?: Readonly<Record<string, number>>;
}

export interface Side {
  /** Distinguishes the sides of one benchmark. */
  readonly name: string;
  /** What it is, durability included. */
  readonly what: string;
  readonly target?: Target;
  run(): Promise<Measured>;
}

export interface PairedBenchmark {
  readonly name: string;
  readonly unit: string;
  /** Of the pairs that are asked for, so many times as many, where the difference is smaller than that of equal runs. */
  readonly timesAsManyPairs?: number;
  readonly peer: Side;
  /** Several may share the peer's run of a pair; each makes a figure. */
  readonly fila: readonly Side[];
}

type Runs = ReadonlyMap<Side, Measured[]>;

export async function runPairs(bench: Bench, benchmark: PairedBenchmark): Promise<Figure[]> {
  const first = await onePass(bench, benchmark);
  const contradicting = first.filter(({ pairs, target }) => target !== undefined && pairs?.void === true);
  if (contradicting.length === 0 || bench.options.quick || bench.options.profile !== undefined) return first;
  bench.progress(`${benchmark.name}: the pairs contradict each other; once more`);
  return onePass(bench, benchmark);
}

async function onePass(bench: Bench, benchmark: PairedBenchmark): Promise<Figure[]> {
  const { peer, fila, timesAsManyPairs = 1 } = benchmark;
  const count = bench.options.pairs * timesAsManyPairs;
  // The first run of all finds everything cold, and belongs to no pair.
  if (!bench.options.quick) await peer.run();
  const runs: Runs = new Map([peer, ...fila].map((side) => [side, []]));
  for (let pair = 0; pair < count; pair++) {
    // Who goes first alternates, so that what one leaves behind for the next hits both.
    const order = pair % 2 === 0 ? [peer, ...fila] : [...fila.toReversed(), peer];
    for (const side of order) runs.get(side)!.push(await side.run());
    for (const side of fila) bench.progress(pairLine(benchmark, pair, side, runs, count));
  }
  return fila.map((side) => figureOf(benchmark, side, runs));
}

function pairLine({ name, unit, peer }: PairedBenchmark, pair: number, side: Side, runs: Runs, of: number): string {
  const peerRun = runs.get(peer)![pair]!;
  const run = runs.get(side)![pair]!;
  return (
    `${name} / ${side.name}, pair ${pair + 1} of ${of}: ratio ${(run.value / peerRun.value).toFixed(3)}, ` +
    `${runText(run)} ${unit} against ${runText(peerRun)}`
  );
}

function runText({ value, details = {} }: Measured): string {
  const further = Object.entries(details).map(([name, number]) => `${name} ${round(number)}`);
  return further.length === 0 ? round(value) : `${round(value)} (${further.join(", ")})`;
}

function figureOf({ name, unit, peer, fila }: PairedBenchmark, side: Side, runs: Runs): Figure {
  const pairs: PairedFigure = pairedFigure(values(runs.get(peer)!), values(runs.get(side)!));
  return {
    name: fila.length === 1 ? name : `${name} / ${side.name}`,
    unit,
    pairs,
    value: pairs.ratio,
    target: side.target,
    fila: side.what,
    peer: peer.what,
    details: { ...detailsOf(runs.get(side)!, ""), ...detailsOf(runs.get(peer)!, "peer ") },
  };
}

const values = (runs: readonly Measured[]): number[] => runs.map(({ value }) => value);

function detailsOf(runs: readonly Measured[], prefix: string): Record<string, readonly number[]> {
  const names = Object.keys(runs[0]?.details ?? {});
  return Object.fromEntries(names.map((name) => [prefix + name, runs.map(({ details }) => details?.[name] ?? 0)]));
}

/** Three digits are more than such a figure is worth. */
export function round(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
