// What a queue has to give right now, until it has nothing more.
import type { Fila, Lease } from "@fila/sdk";

const maximumBatch = 500;

/**
 * Leases in batches that double from one; ends with the first empty answer, or on `signal`. What was leased and not
 * taken is released. `settled` resolves when the leases taken so far are settled: the next batch waits for it.
 */
export async function* availableLeases(
  fila: Fila,
  queue: string,
  signal: AbortSignal,
  settled: () => Promise<void>,
): AsyncGenerator<Lease, void, undefined> {
  let size = 1;
  while (!signal.aborted) {
    // An abort while the broker answers must not leave its leases behind, so the call itself is not aborted.
    const batch = await fila.lease(queue, { maxMessages: size });
    if (batch.length === 0) return;
    const left = batch.toReversed();
    try {
      // On an abort the rest of the batch stays in `left`.
      for (let lease = left.pop(); lease !== undefined; lease = isOver(signal) ? undefined : left.pop()) yield lease;
    } finally {
      await Promise.allSettled(left.map((lease) => lease.release()));
    }
    await settled();
    size = Math.min(maximumBatch, size * 2);
  }
}

/** As a function, because the value changes while the consumer has the lease. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
