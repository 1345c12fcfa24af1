import type { Coverage } from "./coverage.ts";
import { World } from "./world.ts";

export interface SeedResult {
  readonly seed: number;
  readonly digest: string;
  readonly coverage: Coverage;
}

/** Throws an error that names the seed and the step. */
export function runSeed(seed: number, steps: number): SeedResult {
  const world = new World(seed);
  try {
    world.run(steps);
  } catch (error) {
    const where = `seed ${seed}, step ${world.coverage.steps} of ${steps}, life ${world.life}`;
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return { seed, digest: world.trace.digest, coverage: world.coverage };
}
