import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../fake/fake-clock.ts";
import { turn } from "../fake/fake-streams.ts";
import { FilaError } from "../errors.ts";
import { Backoff } from "./backoff.ts";
import { retrying } from "./retry.ts";

const connection = { assertOpen: (): void => undefined, explain: (error: unknown) => FilaError.from(error) };
const unavailable = (reason: string, retryAfterMs?: number): FilaError =>
  new FilaError("unavailable", reason, "not now", { retryAfterMs });

/** Fails with these, then succeeds; tells how often it was made, with how much time left. */
async function made(failures: FilaError[], clock = new FakeClock()): Promise<{ left: number[]; outcome: unknown }> {
  const left: number[] = [];
  const call = retrying(
    connection,
    10_000,
    (timeoutMs) => {
      left.push(timeoutMs);
      const failure = failures.shift();
      return failure === undefined ? Promise.resolve("done") : Promise.reject(failure);
    },
    clock,
  );
  let over = false;
  const outcome = call.then(
    (value) => ((over = true), value),
    (error: unknown) => ((over = true), error),
  );
  for (let at = 0; !over && at < 100; at++) {
    await turn();
    clock.advance(1_000);
  }
  return { left, outcome: await outcome };
}

test("a call that may be made twice is made again when its connection broke, a few times, within its time", async () => {
  const lost = unavailable("CONNECTION_LOST");
  assert.deepEqual(await made([lost, lost]), { left: [10_000, 9_000, 8_000], outcome: "done" });
  assert.deepEqual((await made(Array(9).fill(lost))).left.length, 4);
  // The broker asks for more time than there is.
  const later = unavailable("STORAGE_UNAVAILABLE", 800);
  assert.equal((await made([later])).outcome, "done");
});

test("what more calls do not change is not made again", async () => {
  for (const reason of ["CONNECTION_FAILED", "CLIENT_CLOSED"]) {
    assert.equal((await made([unavailable(reason)])).left.length, 1);
  }
  const refused = new FilaError("invalid_argument", "INVALID_FIELD", "no");
  assert.deepEqual(await made([refused]), { left: [10_000], outcome: refused });
});

test("waits grow to the cap, with full jitter, and are no shorter than the broker asks", () => {
  const clock = new FakeClock();
  const backoff = new Backoff(clock, { baseMs: 100, capMs: 4_000 });
  const waits = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(waits, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  clock.chance = 0;
  assert.equal(backoff.next(), 0);
  assert.equal(backoff.next(700), 700);
  assert.equal(backoff.next(60_000), 4_000);
  backoff.reset();
  clock.chance = 0.999;
  assert.equal(backoff.next(), 99.9);
});
