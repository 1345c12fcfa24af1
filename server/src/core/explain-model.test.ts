// Explain against what then happens, over thousands of random states: a model that knows only what was asked of the broker
// and what workers got predicts the answer; then the cause that was named is removed, and only that, until the message
// is delivered.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Explanation, Turns } from "./explain.ts";
import { ExplainedQueue, type Known, type Worker } from "./testing/explained-queue.ts";

const walks = 250;
const statesPerWalk = 44;
const keys = ["a", "b", "c", "d"] as const;
const day = 86_400_000;

/** Numbers that a seed decides: a small generator is enough to wander about. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) | 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** One thing happens. */
function wander(queue: ExplainedQueue, dice: Dice): void {
  const { workers, driver } = queue;
  const held = queue.messages.filter(({ where }) => where.at === "leased");
  const waiting = queue.messages.filter(({ where }) => where.at !== "gone").length;
  const choice = dice.below(100);
  const worker = workers.length > 0 ? dice.pick(workers) : undefined;
  if (choice < 34 && waiting < 40) {
    const bytes = dice.below(6) === 0 ? dice.pick([300_000, 600_000, 1_200_000]) : 10;
    const weight = dice.below(5) === 0 ? 1 + dice.below(4) : 0;
    const cost = dice.below(3) === 0 ? 1 + dice.below(3) : 1;
    const delayMs = dice.below(6) === 0 ? 1 + dice.below(2_000) : 0;
    const deliverAt = delayMs === 0 && dice.below(8) === 0 ? driver.wall + dice.below(3_000) - 500 : 0;
    const throttleKeys = dice.pick([[], [], ["t"]]);
    const count = 1 + dice.below(4);
    queue.enqueue(dice.pick(keys), { bytes, weight, cost, delayMs, deliverAt, throttleKeys, count });
  } else if (choice < 38) queue.pause(!queue.paused);
  else if (choice < 46) {
    const key = dice.pick(keys);
    queue.setKey(key, !queue.pausedKeys.has(key));
  } else if (choice < 54 && workers.length < 3) {
    queue.open(dice.pick(["stream", "stream", "consume"]), dice.below(4), dice.below(3) > 0);
  } else if (choice < 58 && worker !== undefined) queue.close(worker);
  else if (choice < 64 && worker?.kind === "stream" && !worker.stopped) queue.giveCredit(worker, 1 + dice.below(3));
  else if (choice < 66 && worker?.kind === "stream") queue.stop(worker);
  else if (choice < 68 && worker !== undefined) queue.wrote(worker);
  else if (choice < 82 && held.length > 0) {
    queue.settle(dice.pick(held), dice.pick(["ack", "ack", "ack", "nack", "release"]), dice.below(3) === 0);
  } else if (choice < 86) {
    const some = queue.messages.filter(({ where }) => where.at !== "gone");
    if (some.length > 0) queue.cancel(dice.pick(some));
  } else if (choice < 89) queue.throttle(dice.pick([undefined, 0, 1, 5, 1_000]));
  else if (choice < 92) queue.capBy(dice.pick([0, 0, 3, 8]), dice.pick([0, 1, 2]));
  else queue.pass(dice.pick([0.25, 5, 60, 700]), dice.below(5) === 0 ? dice.pick([-day, day]) : 0);
}

/** The explanation must be the predicted one; of a message that waits for its turn, the numbers are looked at elsewhere. */
function check(queue: ExplainedQueue, message: Known, counts: Map<string, number>): Explanation {
  const explanation = queue.explain({ id: message.id });
  const predicted = queue.predict(message);
  if (explanation.why === "throttled") {
    checkThrottled(queue, message, explanation);
    counts.set("throttled", (counts.get("throttled") ?? 0) + 1);
    return explanation;
  }
  if (predicted.why === "not-its-turn") {
    assert.equal(explanation.why, "not-its-turn");
    // Nothing holds it, and it was not delivered: another one is to go first, which nobody can take.
    assert.ok(isBlocked(queue), `${message.id} is held by nothing, and waits`);
  } else assert.deepEqual(explanation, predicted);
  counts.set(explanation.why, (counts.get(explanation.why) ?? 0) + 1);
  return explanation;
}

/** Without a token, or with one that another one gets, who came first. */
function checkThrottled(queue: ExplainedQueue, message: Known, told: Explanation & { why: "throttled" }): void {
  const { rate, tokens } = queue;
  assert.ok(message.throttled && rate !== undefined);
  assert.deepEqual([told.throttleKey, told.rate, told.burst], ["t", rate, 1]);
  assert.ok(Math.abs(told.tokens - tokens) < 1e-6, `${told.tokens} tokens, not ${tokens}`);
  assert.ok(!queue.paused && !queue.pausedKeys.has(message.key) && told.place >= 1);
  const { mono, wall } = queue.driver;
  if (rate === 0 && tokens < 1) assert.equal(told.nextAt, undefined);
  else {
    const next = wall + Math.max(0, ((1 - tokens) * 1_000) / (rate || 1));
    assert.ok(Math.abs((told.nextAt ?? Infinity) - next) <= 1.01, `next at ${told.nextAt}, not ${next} (${mono})`);
  }
  if (queue.lacksTokens(message)) return;
  const others = queue.messages.filter(
    ({ throttled, where, key }) => throttled && where.at === "waiting" && key !== message.key,
  );
  assert.ok(others.length > 0, `${message.id} is throttled, with a token there and nobody before it`);
}

function isBlocked(queue: ExplainedQueue): boolean {
  return queue.messages.some(
    ({ where, key, bytes }) =>
      where.at === "waiting" &&
      !queue.pausedKeys.has(key) &&
      queue.full(key) === undefined &&
      queue.workers.every((worker) => queue.refuses(worker, bytes) !== undefined),
  );
}

/** Of a key the explanation is that of its next message. */
function checkKey(queue: ExplainedQueue, fairnessKey: string): void {
  const explanation = queue.explain({ fairnessKey });
  const own = queue.messages.filter(({ key, where }) => key === fairnessKey && where.at === "waiting");
  if (own.length === 0) assert.deepEqual(explanation, { why: "unknown" });
  else if (explanation.why === "not-its-turn") assert.equal(explanation.messagesAhead, 0);
  const allowed = own.length === 0 ? ["unknown"] : own.map((message) => queue.predict(message).why);
  if (queue.rate !== undefined && own.some(({ throttled }) => throttled)) allowed.push("throttled");
  assert.ok(allowed.includes(explanation.why), `key ${fairnessKey}: ${explanation.why}, not ${allowed.join()}`);
}

/** Removes what holds the message, and nothing else. */
function remove(queue: ExplainedQueue, message: Known, cause: Explanation): void {
  const { where } = message;
  switch (cause.why) {
    case "leased":
      return queue.settle(message, "release");
    case "deciding":
      return queue.decide(message, 0);
    case "delayed":
      return waitUntil(queue, message, cause.until);
    case "queue-paused":
      return queue.pause(false);
    case "key-paused":
      return queue.setKey(message.key, false);
    case "throttled":
      return queue.throttle(undefined);
    case "concurrency-full":
      return queue.capBy(0, 0);
    case "no-consumer":
      queue.open("stream", 0, true);
      return;
    case "no-credit":
      makeRoom(queue);
      return;
    case "dead-lettered":
      return queue.redrive(message);
    case "not-its-turn":
      makeRoom(queue);
      return;
    default:
      assert.fail(`${cause.why} of a message that is ${where.at}`);
  }
}

/** Exact: it is held a millisecond before, and not when the time has come. */
function waitUntil(queue: ExplainedQueue, message: Known, until: number): void {
  const left = until - queue.driver.wall;
  if (left > 1) {
    queue.pass(left - 1);
    assert.deepEqual(queue.explain({ id: message.id }), { why: "delayed", until });
  }
  queue.pass(until - queue.driver.wall);
  assert.notEqual(queue.explain({ id: message.id }).why, "delayed");
}

/** Somebody takes whatever comes. */
function makeRoom(queue: ExplainedQueue): Worker {
  const worker = queue.open("stream", 1_000, true);
  for (let rounds = 0; rounds < 3; rounds += 1) queue.observe();
  return worker;
}

describe("explain", () => {
  test(`names in ${walks * statesPerWalk} random states what holds a message, and without it the message comes`, () => {
    const counts = new Map<string, number>();
    let delivered = 0;
    for (let seed = 1; seed <= walks; seed += 1) {
      const dice = new Dice(seed);
      const queue = new ExplainedQueue(seed % 3 === 0);
      for (let state = 0; state < statesPerWalk; state += 1) {
        try {
          for (let steps = 1 + dice.below(4); steps > 0; steps -= 1) wander(queue, dice);
          if (queue.messages.length === 0) continue;
          const message = dice.pick(queue.messages.slice(-40));
          let cause = check(queue, message, counts);
          checkKey(queue, dice.pick(keys));
          if (dice.below(3) > 0) continue;
          // A lease that is given back is a delivery that is undone: it must come again.
          const held = cause.why;
          for (let causes = 0; cause.why !== "unknown" && (causes === 0 || cause.why !== "leased"); causes += 1) {
            assert.ok(causes < 8, `${message.id} is still held by ${cause.why}, at first by ${held}`);
            remove(queue, message, cause);
            cause = check(queue, message, counts);
          }
          if (cause.why === "leased") delivered += 1;
        } catch (error) {
          throw new Error(`walk ${seed}, state ${state}: ${(error as Error).message}`, { cause: error });
        }
      }
    }
    const all = [...counts.values()].reduce((sum, each) => sum + each, 0);
    assert.ok(all >= 10_000, `${all} states`);
    assert.ok(delivered > 1_000, `${delivered} delivered`);
    const reasons = [
      "unknown",
      "dead-lettered",
      "leased",
      "deciding",
      "delayed",
      "queue-paused",
      "key-paused",
      "throttled",
      "concurrency-full",
    ];
    for (const why of [...reasons, "no-consumer", "no-credit", "not-its-turn"]) {
      assert.ok((counts.get(why) ?? 0) >= 30, `${why}: ${counts.get(why)}`);
    }
  });

  test("tells how many messages and keys go before one, as it turns out when a worker comes", () => {
    let apart = 0;
    let several = 0;
    for (let seed = 1; seed <= 600; seed += 1) {
      const dice = new Dice(seed + 1_000_000);
      const mixedCosts = seed % 2 === 0;
      const queue = crowd(dice, mixedCosts);
      const { driver } = queue;
      const waiting = queue.messages.filter(({ where }) => where.at === "waiting");
      const message = dice.pick(waiting);
      const before = driver.mutations.length;
      const turns = explainedAsSomebodyComes(queue, message);
      const order = driver.mutations.slice(before).flatMap((each) => (each.type === "leased" ? [each.sequence] : []));
      const ahead = order.slice(0, order.indexOf(message.sequence)).map((sequence) => queue.messages[sequence - 1]!);
      const own = ahead.filter(({ key }) => key === message.key).length;
      assert.equal(turns.messagesAhead, own, `seed ${seed}`);
      const others = new Set(order.map((sequence) => queue.messages[sequence - 1]!.key));
      assert.equal(turns.keysAhead, others.size - 1, `seed ${seed}`);
      assert.equal(turns.atLeast, false);
      // One visit of each other key, and what it has saved for a dear message.
      const slack = (others.size - 1) * (mixedCosts ? 4 + 3 : 4);
      assert.ok(ahead.length <= turns.deliveriesAhead + slack, `seed ${seed}: ${ahead.length} came before it`);
      if (!mixedCosts) assert.ok(ahead.length >= turns.deliveriesAhead - slack, `seed ${seed}`);
      apart = Math.max(apart, Math.abs(ahead.length - turns.deliveriesAhead));
      if (own > 3 && others.size > 2) several += 1;
    }
    assert.ok(several > 50 && apart > 0);
  });
});

/** Messages of several keys, some of them given back, and nobody to take them. */
function crowd(dice: Dice, mixedCosts: boolean): ExplainedQueue {
  const queue = new ExplainedQueue(false);
  for (let times = 3 + dice.below(12); times > 0; times -= 1) {
    const cost = mixedCosts ? 1 + dice.below(3) : 1;
    const weight = dice.below(3) === 0 ? 1 + dice.below(4) : 0;
    const throttleKeys = dice.pick([[], ["t"]]);
    queue.enqueue(dice.pick(keys), { cost, weight, throttleKeys, count: 1 + dice.below(5) });
    queue.pass(dice.below(2));
  }
  const worker = queue.open("stream", dice.below(20), true);
  for (const message of queue.heldBy(worker)) {
    if (queue.heldBy(worker).length > 1) queue.settle(message, dice.pick(["release", "nack", "ack"]));
  }
  queue.close(worker);
  if (!queue.messages.some(({ where }) => where.at === "waiting")) queue.enqueue("a", { count: 3 });
  return queue;
}

/** A worker with credit for everything comes, and in the very turn the message is asked about. */
function explainedAsSomebodyComes(queue: ExplainedQueue, { id }: Known): Turns {
  const { driver } = queue;
  const worker = queue.open("stream", 0, true);
  worker.credit += 1_000;
  const reply = driver.ask((request) => ({ type: "explain", request, queue: "q", id }), {
    type: "credit",
    consumer: worker.consumer.id,
    messages: 1_000,
  });
  assert.ok(reply.type === "explained" && reply.explanation.why === "not-its-turn", JSON.stringify(reply));
  queue.observe();
  return reply.explanation;
}
