// Reads V8's CPU profiles: which functions the main thread was in, within a window of time.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { ProfiledWindow } from "./bench.ts";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds, on the clock of `nowUs`. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfileEntry {
  /** "function file:line", or "(garbage collector)" and the like. */
  readonly place: string;
  /** In the function itself, microseconds. */
  readonly selfUs: number;
}

export interface ProfileSummary {
  readonly busyUs: number;
  readonly idleUs: number;
  /** Most expensive first. */
  readonly functions: readonly ProfileEntry[];
  /** The same by file, or by package. */
  readonly files: readonly ProfileEntry[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));

export function readProfile(file: string): CpuProfile {
  return JSON.parse(readFileSync(file, "utf8")) as CpuProfile;
}

export function summarize(profile: CpuProfile, { fromUs, toUs }: Omit<ProfiledWindow, "count">): ProfileSummary {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  let busyUs = 0;
  let idleUs = 0;
  let us = profile.startTime;
  for (const [at, sample] of profile.samples.entries()) {
    us += profile.timeDeltas[at]!;
    // A sample stands for the time up to the next one.
    const lasts = profile.timeDeltas[at + 1] ?? 0;
    if (us < fromUs || us > toUs) continue;
    const { callFrame } = nodes.get(sample)!;
    if (callFrame.functionName === "(idle)") {
      idleUs += lasts;
      continue;
    }
    busyUs += lasts;
    const file = shortName(callFrame.url);
    add(functions, placeOf(callFrame, file), lasts);
    add(files, file === "" ? placeOf(callFrame, file) : file, lasts);
  }
  return { busyUs, idleUs, functions: sorted(functions), files: sorted(files) };
}

export function summaryText(name: string, summary: ProfileSummary, count: number, lines = 25): string {
  const { busyUs, idleUs } = summary;
  const all = busyUs + idleUs;
  const list = (entries: readonly ProfileEntry[]): string[] =>
    entries
      .slice(0, lines)
      .map(
        ({ place, selfUs }) =>
          `  ${((100 * selfUs) / busyUs).toFixed(1).padStart(5)} %  ${(selfUs / count).toFixed(3).padStart(8)} us  ${place}`,
      );
  return [
    `${name}: main thread busy ${((100 * busyUs) / all).toFixed(0)} % of ${(all / 1e6).toFixed(1)} s, ` +
      `${(busyUs / count).toFixed(2)} us for each of ${count.toLocaleString("en")}`,
    " by function, itself only:",
    ...list(summary.functions),
    " by file:",
    ...list(summary.files),
    "",
  ].join("\n");
}

function placeOf({ functionName, lineNumber }: ProfileNode["callFrame"], file: string): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  return file === "" ? name : `${name} ${file}:${lineNumber + 1}`;
}

function shortName(url: string): string {
  if (!url.startsWith("file:")) return url;
  const file = path.relative(root, fileURLToPath(url));
  return file.replace(/^.*node_modules\//, "");
}

function add(sums: Map<string, number>, key: string, us: number): void {
  sums.set(key, (sums.get(key) ?? 0) + us);
}

function sorted(sums: ReadonlyMap<string, number>): ProfileEntry[] {
  return [...sums].map(([place, selfUs]) => ({ place, selfUs })).sort((a, b) => b.selfUs - a.selfUs);
}
