import { randomFillSync } from "node:crypto";

export const payloadBytes = 1024;

/** How many different payloads there are; made beforehand, so that drawing random bytes is not what is measured. */
export const poolSize = 10_000;

/** Random payloads of 1 KiB, the same way for every side. */
export function makePayloads(): readonly Buffer[] {
  const bytes = randomFillSync(Buffer.alloc(poolSize * payloadBytes));
  return Array.from({ length: poolSize }, (_, at) => bytes.subarray(at * payloadBytes, (at + 1) * payloadBytes));
}

/** The elements in a circle. */
export function cycle<T>(elements: readonly T[]): () => T {
  let next = 0;
  return () => {
    const element = elements[next]!;
    next = next + 1 === elements.length ? 0 : next + 1;
    return element;
  };
}
