// The command line of the benchmark.
import { parseArgs } from "node:util";

export interface Options {
  /** Print one JSON object on standard output in place of the table. */
  readonly json: boolean;
  /** Few and short pairs: shows that everything runs, gives no result. */
  readonly quick: boolean;
  /** Exit with an error when a target is missed. */
  readonly check: boolean;
  /** Names of benchmarks, or the start of their names. Empty: all. */
  readonly only: readonly string[];
  readonly pairs: number;
  /** Length of the window that is measured, of each side of a pair. */
  readonly seconds: number;
  /** Where CPU profiles go. */
  readonly profile: string | undefined;
  /** Where data directories are made. */
  readonly dir: string | undefined;
}

export const usage = `Usage: npm run bench -- [options]

  --only NAME[,NAME]  only these; the start of a name is enough
  --pairs N           pairs of runs (default 7; with fewer it is not a result)
  --seconds S         measured window of each run (default 3; with less it is not a result)
  --quick             2 pairs of 1 s and small sets: does it run? Not a result
  --json              one JSON object on standard output
  --check             exit with 1 when a target is missed (not with --quick)
  --profile DIR       CPU profiles of servers and clients into DIR, with a summary; slows everything down: not a result
  --dir DIR           where data directories are made (default node_modules/.cache/fila-bench)
  --help              this text
`;

/** Throws an Error whose message is one line for people. */
export function parseOptions(args: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      pairs: { type: "string" },
      seconds: { type: "string" },
      profile: { type: "string" },
      dir: { type: "string" },
    },
  });
  if (values.help) return "help";
  const { json, quick, check, profile, dir } = values;
  return {
    json,
    quick,
    check,
    only: values.only.flatMap((names) => names.split(",")),
    pairs: Math.round(positive("--pairs", values.pairs) ?? (quick ? 2 : 7)),
    seconds: positive("--seconds", values.seconds) ?? (quick ? 1 : 3),
    profile,
    dir,
  };
}

/** Why the figures of such a run are no result, or undefined. */
export function notAResult({ quick, pairs, seconds, profile }: Options): string | undefined {
  if (quick) return "a quick run";
  if (profile !== undefined) return "profiled";
  if (pairs < 7) return `${pairs} pairs, at least 7 are needed`;
  if (seconds < 3) return `windows of ${seconds} s, at least 3 are needed`;
  return undefined;
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name} must be a number above 0, not ${JSON.stringify(text)}`);
}
