import type { Coverage } from "./coverage.ts";
import { World } from "./world.ts";

export interface SeedResult {
  readonly seed: number;
  readonly digest: string;
  readonly coverage: Coverage;
}

/** Throws an error that names the seed and the step. */
export async function runSeed(seed: number, steps: number): Promise<SeedResult> {
  const world = new World(seed);
  try {
    await world.run(steps);
  } catch (error) {
    const where = `seed ${seed}, step ${world.coverage.steps} of ${steps}, life ${world.life}`;
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return { seed, digest: world.trace.digest, coverage: world.coverage };
}
