import assert from "node:assert/strict";
import { test } from "node:test";
import type { Explanation } from "../../core/explain.ts";
import { explanationText } from "./explanation-text.ts";

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const failure = {
  reason: "max_attempts" as const,
  error: "no route",
  firstFailedAt: now - 5_000,
  lastFailedAt: now - 1_000,
  sourceQueue: "q",
};

const cases: readonly [Explanation, string][] = [
  [
    { why: "unknown" },
    'queue "q" has no such message: it was never there, or it is settled, cancelled, purged or expired',
  ],
  [
    { why: "dead-lettered", queue: "q.dlq" },
    'it is a dead letter and lies in "q.dlq" since 2026-01-02T03:04:04.000Z, reason max_attempts: no route',
  ],
  [{ why: "unreadable" }, "its bytes cannot be read back from the store, so it is never delivered"],
  [
    { why: "leased", worker: "w", until: now + 500, attempt: 3 },
    'worker "w" holds it until 2026-01-02T03:04:05.500Z (in 500 ms); 3 attempts ended before',
  ],
  [
    { why: "leased", worker: "", until: now - 1, attempt: 0 },
    "a worker without a name holds it until 2026-01-02T03:04:04.999Z (now); 0 attempts ended before",
  ],
  [{ why: "deciding", attempt: 2 }, "its attempt 2 has ended, and the queue's hook is asked what comes next"],
  [{ why: "delayed", until: now + 60_000 }, "it waits until 2026-01-02T03:05:05.000Z (in 60000 ms)"],
  [{ why: "queue-paused" }, 'queue "q" is paused; resume it'],
  [{ why: "key-paused", fairnessKey: "k" }, 'fairness key "k" is paused; resume it'],
  [{ why: "no-consumer" }, 'queue "q" has no consumer; start a worker'],
  [
    { why: "no-credit", consumers: 7, because: { credit: 1, unsettled: 2, unwritten: 3, stopped: 1 } },
    "none of the 7 consumers takes a message now: 1 without credit, 2 with as many unsettled messages as a Consume stream may hold, 3 not reading what they were sent, 1 stopping",
  ],
  [
    { why: "not-its-turn", messagesAhead: 4, keysAhead: 2, deliveriesAhead: 12, atLeast: false },
    "it waits for its turn: 4 messages of its own key go first and 2 other keys take turns, about 12 deliveries in all",
  ],
  [
    { why: "not-its-turn", messagesAhead: 10_000, keysAhead: 0, deliveriesAhead: 10_000, atLeast: true },
    "it waits for its turn: 10000 messages of its own key go first and 0 other keys take turns, at least 10000 deliveries in all",
  ],
];

test("each reason has its sentence, with its numbers", () => {
  for (const [explanation, text] of cases) {
    assert.equal(explanationText("q", { id: "i" }, explanation, failure, now), text);
  }
  assert.equal(
    explanationText("q", { fairnessKey: "k" }, { why: "unknown" }, undefined, now),
    'fairness key "k" of queue "q" has no message that could be delivered now',
  );
});
