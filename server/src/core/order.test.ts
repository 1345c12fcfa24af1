// The order of one key's messages: by (ready time, sequence), whatever happens to them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "./effects.ts";
import { CoreDriver, item } from "./testing/core-driver.ts";

const seed = 20_250_706;
const sequences = (deliveries: readonly Delivery[]): number[] => deliveries.map(({ sequence }) => sequence);

describe("the order of a key", () => {
  for (const order of ["first to last", "mixed"] as const) {
    test(`comes back when messages are released one by one, ${order}, and nobody walks the lane for it`, () => {
      const driver = new CoreDriver();
      driver.enqueue("k", { count: 20_000 });
      const held: Delivery[] = [];
      const consumer = driver.open();
      while (held.length < 6_000) held.push(...consumer.pull(1_000));
      const { table } = driver.core.state;
      let steps = 0;
      for (const name of ["next", "prev"] as const) {
        const plain = table[name].bind(table);
        table[name] = (slot) => {
          steps += 1;
          return plain(slot);
        };
      }
      const place = (at: number): number => (order === "mixed" ? (at * 2_741) % held.length : at);
      for (let at = 0; at < held.length; at += 1) consumer.settle(held[place(at)] as Delivery, "release");
      assert.ok(steps <= 60_000, `${steps} steps along the lane for 6,000 messages`);
      const expected = Array.from({ length: 7_000 }, (_, at) => at + 1);
      const again: Delivery[] = [];
      while (again.length < 7_000) again.push(...consumer.pull(1_000));
      assert.deepEqual(sequences(again), expected);
    });
  }

  test("is first in, first out", () => {
    const driver = new CoreDriver();
    const ids = driver.enqueue("k", { count: 100 });
    driver.pass(5);
    ids.push(...driver.enqueue("k", { count: 100 }));
    assert.deepEqual(
      driver
        .open()
        .pull(200)
        .map(({ id }) => id),
      ids,
    );
  });

  test("holds over lanes: the unblocked lane with the oldest head goes next", () => {
    const lane = fc.subarray(["red", "green", "blue"]);
    fc.assert(
      fc.property(fc.array(lane, { minLength: 1, maxLength: 60, size: "max" }), (lanes) => {
        const driver = new CoreDriver();
        const ids = lanes.flatMap((throttleKeys) => driver.enqueue("k", { throttleKeys }));
        assert.deepEqual(
          driver
            .open()
            .pull(lanes.length)
            .map(({ id }) => id),
          ids,
        );
      }),
      { seed, numRuns: 60 },
    );
  });

  test("lanes of different throttle keys are different, whatever characters are in them", () => {
    const texts = ["", ",", "a", "b", "a,b", "b,a", "a\u0000b", "1:a", "1:a,1:b", ":"];
    const lists: string[][] = [[]];
    for (const text of texts) for (const list of [...lists]) lists.push([...list, text]);
    const driver = new CoreDriver();
    driver.enqueueItems(lists.map((throttleKeys) => item("k", { throttleKeys })));
    assert.equal([...driver.core.state.lanes()].length, lists.length);
    const shown = driver.open().pull(lists.length);
    assert.deepEqual(
      shown.map(({ throttleKeys }) => throttleKeys),
      lists,
    );
  });

  test("a released message returns to its original place, a nacked one goes behind what is ready", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 6 });
    const consumer = driver.open();
    const [first, second, third] = consumer.pull(3) as [Delivery, Delivery, Delivery];
    driver.pass(10);
    assert.equal(consumer.settle(second, "release"), "OK");
    assert.equal(consumer.settle(first, "nack"), "OK");
    assert.equal(consumer.settle(third, "release"), "OK");
    assert.deepEqual(sequences(consumer.pull(6)), [2, 3, 4, 5, 6, 1]);
  });

  test("nacked messages go by the time of the retry, then by sequence, and new ones behind them", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 4 });
    const consumer = driver.open();
    const [one, two, three, four] = consumer.pull(4) as [Delivery, Delivery, Delivery, Delivery];
    driver.pass(1);
    consumer.settle(four, "nack");
    driver.pass(1);
    consumer.settle(two, "nack");
    consumer.settle(one, "nack");
    driver.enqueue("k");
    driver.pass(1);
    consumer.settle(three, "nack");
    assert.deepEqual(sequences(consumer.pull(5)), [4, 1, 2, 5, 3]);
  });

  test("stays as it is when the wall clock jumps back", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    driver.wall -= 3_600_000;
    driver.enqueue("k", { count: 2 });
    const consumer = driver.open();
    const [one] = consumer.pull(1) as [Delivery];
    consumer.settle(one, "nack");
    driver.wall += 7_200_000;
    driver.enqueue("k");
    // The clock of the lanes goes on a little for the retry: standing still, it would put it before its elders again.
    assert.deepEqual(sequences(consumer.pull(5)), [2, 3, 4, 1, 5]);
  });

  test("released all at once, in any order and portions, all return", () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(1_000)), fc.integer({ min: 1, max: 40 }), (random, portion) => {
        const draw = (below: number): number => (random.next().value as number) % below;
        const driver = new CoreDriver();
        driver.enqueue("a", { count: 30 });
        driver.enqueue("b", { count: 30, throttleKeys: ["t"] });
        const consumer = driver.open();
        const held = consumer.pull(40);
        while (held.length > 0) {
          const some = Array.from(
            { length: Math.min(portion, held.length) },
            () => held.splice(draw(held.length), 1)[0] as Delivery,
          );
          driver.settleAll(some.map(({ id, token }) => ({ id, token, action: "release", error: "", extendMs: 0 })));
        }
        const again = consumer.pull(60);
        for (const key of ["a", "b"]) {
          const own = sequences(again.filter(({ fairnessKey }) => fairnessKey === key));
          assert.deepEqual(
            own,
            own.toSorted((x, y) => x - y),
          );
          assert.equal(own.length, 30);
        }
      }),
      { seed, numRuns: 40 },
    );
  });

  test("is the same after a restart as without one", () => {
    const action = fc.constantFrom("nack" as const, "release" as const, "keep" as const, "ack" as const);
    const step = fc.record({
      count: fc.nat(4),
      key: fc.constantFrom("a", "b"),
      throttle: fc.subarray(["x", "y"]),
      pull: fc.nat(4),
      action,
      pass: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25, size: "max" }), (steps) => {
        const driver = new CoreDriver();
        const consumer = driver.open();
        for (const { count, key, throttle, pull, action, pass } of steps) {
          driver.enqueue(key, { count, throttleKeys: throttle });
          driver.pass(pass);
          for (const delivery of consumer.pull(pull)) if (action !== "keep") consumer.settle(delivery, action);
        }
        const orders = (): number[][] => {
          const all = driver.open().pull(200);
          return ["a", "b"].map((name) => sequences(all.filter(({ fairnessKey }) => fairnessKey === name)));
        };
        // Leases stand over a restart, so both worlds deliver only what is ready.
        const restored = driver.newCore();
        driver.durable.restore(restored, driver);
        const expected = orders();
        driver.restartOn(restored);
        const got = orders();
        assert.deepEqual(got, expected);
      }),
      { seed, numRuns: 60 },
    );
  });
});
