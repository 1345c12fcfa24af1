// npm run simulate [-- --seeds N] [--steps N] [--seed S] [--quick]: runs the core, the journal and recovery under a seeded
// world, and reports speed and coverage. `--seed S` replays one; with --seeds it is the first.
import { parseArgs } from "node:util";
import v8 from "node:v8";
import { addCoverage, noCoverage, shortfalls } from "./coverage.ts";
import { runSeed } from "./run-seed.ts";
import { Trace } from "./trace.ts";

// Almost everything dies young: a larger nursery makes the run a quarter faster.
v8.setFlagsFromString("--max-semi-space-size=64");

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    steps: { type: "string", default: "5000" },
    seed: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

const steps = Number(values.steps);
const first = Number(values.seed ?? 1);
const many = values.seed !== undefined ? 1 : values.quick ? 30 : 1_000;
const seeds = Number(values.seeds ?? many);
const began = performance.now();
const sum = noCoverage();
const trace = new Trace();
let withoutCrash = 0;

for (let seed = first; seed < first + seeds; seed += 1) {
  const result = await runSeed(seed, steps);
  addCoverage(sum, result.coverage);
  if (result.coverage.crashes === 0) withoutCrash += 1;
  trace.addText(result.digest);
  if ((seed - first) % 100 === 99) console.error(`${seed - first + 1} seeds`);
}
const seconds = (performance.now() - began) / 1_000;
const again = (await runSeed(first, steps)).digest;
const { digest } = await runSeed(first, steps);

for (const [name, count] of Object.entries(sum)) console.log(`${name.padEnd(20)} ${String(count).padStart(10)}`);
console.log(`${seeds} seeds of ${steps} steps in ${seconds.toFixed(1)} s: ${Math.round(sum.steps / seconds)} steps/s`);
console.log(`trace ${trace.digest}`);

const problems = seeds < 10 ? [] : shortfalls(sum, seeds);
if (withoutCrash > 0) problems.push(`${withoutCrash} seeds had no crash`);
if (again !== digest) problems.push(`seed ${first} gives another trace when it is run again`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
