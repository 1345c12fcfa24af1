// What a handler throws says what becomes of its message.
import assert from "node:assert/strict";
import test from "node:test";
import { withBroker } from "../fake/with-broker.ts";
import { SettlementAction } from "../gen/index.ts";
import { DeadLetter, RetryAfter } from "../index.ts";

class NotAnAddress extends DeadLetter {}

test("DeadLetter goes to the dead letters, RetryAfter comes again when it says, anything else as the queue says", () =>
  withBroker(async (fila, broker) => {
    const cause = new Error("550 no such user");
    const thrown: readonly [error: unknown, text: string, retryDelayMs: number | undefined, deadLetter: boolean][] = [
      [new DeadLetter("no such user", { cause }), "no such user", undefined, true],
      [new NotAnAddress("no @ in it"), "no @ in it", undefined, true],
      [new RetryAfter("30s"), "to be tried again after 30000 ms", 30_000, false],
      [new RetryAfter(0, "locked"), "locked", 0, false],
      [new RetryAfter("365d"), "to be tried again after 31536000000 ms", 31_536_000_000, false],
      [new Error("timeout"), "timeout", undefined, false],
    ];
    const errors: unknown[] = [];
    let next = 0;
    for (const _ of thrown) await fila.enqueue("q", "x");
    const handled = new Set<string>();
    await using _worker = fila.work(
      "q",
      ({ id }) => {
        // What was nacked comes again.
        if (handled.has(id)) return;
        handled.add(id);
        throw thrown[next++]![0];
      },
      { concurrency: 1, prefetch: 0, onError: (error) => errors.push(error) },
    );
    await broker.until(() => broker.queues.get("q")?.length === 0);
    const nacks = broker.settled.filter(({ action }) => action === SettlementAction.NACK);
    assert.deepEqual(
      nacks.map(({ error, retryDelayMs, deadLetter }) => [error, retryDelayMs, deadLetter]),
      thrown.map(([, ...wanted]) => wanted),
    );
    assert.deepEqual(
      errors,
      thrown.map(([error]) => error),
      "whoever watches the worker is told of each",
    );
  }));

test("a delay that cannot be meant is an error where it is given", () => {
  for (const delay of ["soon" as "1s", -1, "366d"] as const) {
    assert.throws(() => new RetryAfter(delay), { reason: "INVALID_DURATION" });
  }
});
