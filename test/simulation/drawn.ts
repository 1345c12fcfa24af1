// Settings of queues and times of messages, drawn at random: short enough that all of them come to pass.
import type { IdempotencyKey } from "../../server/src/core/commands.ts";
import type { ExpiredTo, QueueSettings } from "../../server/src/core/queue-settings.ts";
import type { Random } from "./random.ts";

export const keyNames = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"] as const;
/** Few, so that they are used again and again. */
export const idempotencyKeys: readonly IdempotencyKey[] = Array.from({ length: 40 }, (_, n) => {
  // Some of them meet in the index.
  return { a: n % 7, b: n, c: 1, d: 2, text: `i${n}` };
});

/** The first keys have most of the traffic. */
export function drawKey(random: Random): string {
  return keyNames[Math.min(random.below(8), random.below(8))] as string;
}

const minute = 60_000;
const day = 24 * 60 * minute;

export function drawSettings(random: Random) {
  return {
    visibilityMs: random.between(1, 8) * 1_000,
    maxAttempts: random.below(5),
    initialBackoffMs: random.pick([0, 0, 20, 150]),
    maxBackoffMs: random.pick([100, 1_000]),
    expiredTo: random.pick<ExpiredTo>(["drop", "dead-letter"]),
    retentionMs: random.pick([0, 2_000, 10_000, 14 * day]),
    dedupWindowMs: random.pick([1_000, 4_000, 15_000]),
    maxInFlight: random.pick([0, 0, 0, 2, 12]),
    maxInFlightPerKey: random.pick([0, 0, 0, 1, 3]),
    onFailureScript: random.oneIn(3) ? "asked" : "",
  };
}

/** What an operator changes later. */
export function drawChange(random: Random): Partial<QueueSettings> {
  const { maxAttempts, initialBackoffMs, expiredTo, retentionMs, onFailureScript, dedupWindowMs, ...rest } =
    drawSettings(random);
  const { maxInFlight, maxInFlightPerKey } = rest;
  return random.pick<Partial<QueueSettings>>([
    { maxAttempts },
    { initialBackoffMs, expiredTo },
    { retentionMs },
    { onFailureScript },
    { dedupWindowMs },
    { maxInFlight },
    { maxInFlightPerKey },
  ]);
}

/** Most messages are ready at once and live for ever. */
export function drawTimes(random: Random, wall: number) {
  const when = random.below(20);
  return {
    delayMs: when < 2 ? random.between(1, 3_000) : 0,
    deliverAt: when === 2 ? wall + aheadOfNow(random) : 0,
    ttlMs: random.oneIn(12) ? random.between(20, 6_000) : 0,
  };
}

/** Mostly soon, at times in the past, and now and then on another day. */
function aheadOfNow(random: Random): number {
  return random.oneIn(10) ? random.between(minute, day) : random.between(-1_000, 4_000);
}
