// npm run bench: what Fila costs beside what it cannot cost less than, on this machine, in the same run.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeBench } from "./bench.ts";
import type { Benchmark, Figure, ProfiledWindow } from "./bench.ts";
import { sdkEnqueue, unaryEnqueue } from "./benchmarks/callers.ts";
import { delays } from "./benchmarks/delays.ts";
import { endToEnd } from "./benchmarks/end-to-end.ts";
import { keysEnqueue, keysLifecycle } from "./benchmarks/fairness-keys.ts";
import { hookEngine } from "./benchmarks/hook-engine.ts";
import { hooks } from "./benchmarks/hooks.ts";
import { idempotency } from "./benchmarks/idempotency.ts";
import { idle } from "./benchmarks/idle.ts";
import { memory } from "./benchmarks/memory.ts";
import { metricsCost } from "./benchmarks/metrics-cost.ts";
import { purge } from "./benchmarks/purge.ts";
import { lifecycle, sdkWork, streamEnqueue } from "./benchmarks/streams.ts";
import { throttles } from "./benchmarks/throttles.ts";
import { readProfile, summarize, summaryText } from "./cpu-profile.ts";
import { describeMachine, fdatasyncRate } from "./machine.ts";
import { notAResult, parseOptions, usage } from "./options.ts";
import type { Options } from "./options.ts";
import { profilePath } from "./program.ts";
import type { ProfileFile } from "./program.ts";
import { jsonReport, tableReport, verdictOf } from "./report.ts";

const benchmarks: readonly Benchmark[] = [
  streamEnqueue,
  lifecycle,
  sdkWork,
  sdkEnqueue,
  unaryEnqueue,
  endToEnd,
  keysEnqueue,
  keysLifecycle,
  metricsCost,
  hookEngine,
  hooks,
  ...memory,
  idempotency,
  idle,
  delays,
  purge,
  throttles,
];

/** On the disk of the checkout, and ignored by git. */
const defaultDirectory = fileURLToPath(new URL("../../node_modules/.cache/fila-bench", import.meta.url));

/** Of each program the last profile stays. */
const summaries = new Map<string, string>();

function addSummary(file: ProfileFile, window: ProfiledWindow): void {
  summaries.set(file.name, summaryText(file.name, summarize(readProfile(profilePath(file)), window), window.count));
}

function chosen({ only }: Options): readonly Benchmark[] {
  if (only.length === 0) return benchmarks;
  for (const start of only) {
    if (benchmarks.some(({ name }) => name.startsWith(start))) continue;
    throw new Error(
      `no benchmark ${JSON.stringify(start)}; there are ${benchmarks.map(({ name }) => name).join(", ")}`,
    );
  }
  return benchmarks.filter(({ name }) => only.some((start) => name.startsWith(start)));
}

async function run(options: Options): Promise<number> {
  const directory = path.resolve(options.dir ?? defaultDirectory);
  mkdirSync(directory, { recursive: true });
  const machine = describeMachine(directory);
  const bench = makeBench(options, directory, addSummary);
  const figures: Figure[] = [];
  for (const benchmark of chosen(options)) figures.push(...(await benchmark.run(bench)));
  const report = { machine, fdatasyncPerSecondAtEnd: fdatasyncRate(directory), options, figures };
  console.log(options.json ? jsonReport(report) : tableReport(report));
  if (options.profile !== undefined) {
    const text = [...summaries.values()].join("\n");
    writeFileSync(path.join(options.profile, "summary.txt"), text);
    bench.progress(text);
  }
  const failed = figures.some((figure) => ["missed", "void"].includes(verdictOf(figure)));
  return options.check && !options.quick && failed ? 1 : 0;
}

// By exit, so that children and data directories go too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
try {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") console.log(usage);
  else {
    if (options.check && options.quick) throw new Error("--check needs a run that gives a result, without --quick");
    const why = notAResult(options);
    if (why !== undefined) console.error(`not a result: ${why}`);
    process.exitCode = await run(options);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
