// What every benchmark is given, and what it gives back.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import type { WindowOptions } from "./measuring-window.ts";
import type { Options } from "./options.ts";
import type { PairedFigure, Target } from "./pairs.ts";
import type { ProfileFile } from "./program.ts";

export interface Bench {
  readonly options: Options;
  readonly window: WindowOptions;
  /** On a real disk, empty, and removed by `withDirectory`. */
  withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T>;
  /** A line for whoever waits. */
  progress(line: string): void;
  /** Undefined unless profiles are wanted. */
  profile(name: string): ProfileFile | undefined;
  /** A profile was written. `fromUs` to `toUs` were measured, and `count` things done in it. */
  profiled(file: ProfileFile, window: ProfiledWindow): void;
}

export interface ProfiledWindow {
  readonly fromUs: number;
  readonly toUs: number;
  readonly count: number;
}

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** Of a pair; otherwise the figure stands alone. */
  readonly pairs?: PairedFigure;
  /** What is compared with the target: the median ratio, or the figure alone. */
  readonly value: number;
  /** Undefined: shown for comparison only. */
  readonly target: Target | undefined;
  /** What was measured against what, durability of each side included. */
  readonly fila: string;
  readonly peer?: string;
  /** Further numbers, for --json. */
  readonly details?: Readonly<Record<string, number | readonly number[]>>;
}

export interface Benchmark {
  readonly name: string;
  run(bench: Bench): Promise<readonly Figure[]>;
}

const directories = new Set<string>();
// A run that is broken off leaves no gigabytes behind.
process.on("exit", () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export function makeBench(options: Options, root: string, profiled: Bench["profiled"]): Bench {
  return {
    options,
    window: { warmUpSeconds: options.quick ? 0.5 : 1, seconds: options.seconds },
    async withDirectory(use) {
      const directory = await mkdtemp(path.join(root, "run-"));
      directories.add(directory);
      try {
        return await use(directory);
      } finally {
        await rm(directory, { recursive: true, force: true });
        directories.delete(directory);
      }
    },
    progress: (line) => process.stderr.write(`${line}\n`),
    profile: (name) => (options.profile === undefined ? undefined : { directory: path.resolve(options.profile), name }),
    profiled,
  };
}
