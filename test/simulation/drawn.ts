// Settings of queues and times of messages, drawn at random: short enough that all of them come to pass.
import type { ExpiredTo, QueueSettings } from "../../server/src/core/queue-settings.ts";
import type { Random } from "./random.ts";

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
    asksOnFailure: random.oneIn(3),
  };
}

/** What an operator changes later. */
export function drawChange(random: Random): Partial<QueueSettings> {
  const { maxAttempts, initialBackoffMs, expiredTo, retentionMs, asksOnFailure } = drawSettings(random);
  return random.pick([{ maxAttempts }, { initialBackoffMs, expiredTo }, { retentionMs }, { asksOnFailure }]);
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
