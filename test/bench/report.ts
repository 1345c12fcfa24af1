// The table and the JSON.
import type { Figure } from "./bench.ts";
import type { Machine } from "./machine.ts";
import { notAResult } from "./options.ts";
import type { Options } from "./options.ts";
import { round } from "./paired-benchmark.ts";
import { maximumSpread, meets } from "./pairs.ts";
import type { Target } from "./pairs.ts";

export type Verdict = "met" | "missed" | "void" | "";

/** A void figure meets nothing. "": there is no target. */
export function verdictOf({ pairs, value, target }: Figure): Verdict {
  if (target === undefined) return "";
  if (pairs?.void === true) return "void";
  return meets(value, target) ? "met" : "missed";
}

export interface Report {
  readonly machine: Machine;
  readonly fdatasyncPerSecondAtEnd: number;
  readonly options: Options;
  readonly figures: readonly Figure[];
}

export function jsonReport({ machine, fdatasyncPerSecondAtEnd, options, figures }: Report): string {
  return JSON.stringify({
    machine: { ...machine, fdatasyncPerSecondAtEnd },
    pairs: options.pairs,
    seconds: options.seconds,
    notAResult: notAResult(options) ?? null,
    figures: figures.map((figure) => ({ ...figure, target: figure.target ?? null, verdict: verdictOf(figure) })),
  });
}

export function tableReport(report: Report): string {
  const { machine, fdatasyncPerSecondAtEnd, options, figures } = report;
  const why = notAResult(options);
  return [
    `${machine.cpus} x ${machine.cpuModel}, Node ${machine.node}; data on ${machine.fileSystem} (${machine.device}), ` +
      `fdatasync of 1 KiB ${machine.fdatasyncPerSecond}/s before and ${fdatasyncPerSecondAtEnd}/s after`,
    `ratio: median of at least ${options.pairs} alternating pairs, ${options.seconds} s each; spread: largest over smallest, ` +
      `void above ${maximumSpread}`,
    ...(why === undefined ? [] : [`NOT A RESULT: ${why}`]),
    "",
    ...table([["benchmark", "Fila", "peer", "unit", "ratio", "spread", "target", ""], ...figures.map(row)]),
    "",
    ...figures.flatMap(({ name, fila, peer }) => [
      `${name}: ${fila}`,
      ...(peer === undefined ? [] : [`${" ".repeat(name.length)}  against ${peer}`]),
    ]),
    "",
  ].join("\n");
}

function row(figure: Figure): string[] {
  const { name, unit, pairs, value, target } = figure;
  const goal = target === undefined ? "" : goalText(target);
  if (pairs === undefined) return [name, round(value), "", unit, "", "", goal, verdictOf(figure)];
  return [
    name,
    round(pairs.fila),
    round(pairs.peer),
    unit,
    pairs.ratio.toFixed(3),
    pairs.spread.toFixed(2),
    goal,
    verdictOf(figure),
  ];
}

function goalText({ kind, value }: Target): string {
  if (kind === "within") return `1 ± ${value}`;
  return `${kind === "at least" ? "≥" : "≤"} ${value}`;
}

/** Text to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  const left = new Set([0, 3, 7]);
  return rows.map((cells) =>
    cells
      .map((cell, column) => (left.has(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
