// Throttles: what passes a bucket, who waits there, and who goes next.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { restarted } from "./testing/restarted.ts";
import { limit, noExpiry, runFor, served, update } from "./testing/throttled.ts";

const seed = 20_251_122;

function keysIn(worker: ConsumerDriver): string {
  return worker
    .take()
    .map(({ fairnessKey }) => fairnessKey)
    .join("");
}

describe("one bucket", () => {
  test("begins full, passes its burst, then its rate, within a millisecond of due", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "10,3");
    driver.enqueue("a", { count: 20, throttleKeys: ["t"] });
    const worker = driver.open({ credit: 100 });
    assert.equal(worker.take().length, 3);
    for (let n = 0; n < 5; n += 1) {
      runFor(driver, 99);
      assert.equal(worker.take().length, 0);
      runFor(driver, 1.5);
      assert.equal(worker.take().length, 1);
      driver.pass(-0.5);
    }
  });

  test("other lanes of the key and other keys go on; a key that is not configured does not throttle", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "1,1");
    driver.enqueue("a", { count: 2, throttleKeys: ["t"] });
    driver.enqueue("a", { count: 3 });
    driver.enqueue("a", { count: 3, throttleKeys: ["other"] });
    driver.enqueue("b", { count: 3 });
    const worker = driver.open({ credit: 100 });
    assert.equal(worker.take().length, 10);
    assert.equal(driver.stats().depth - driver.stats().inFlight, 1);
    runFor(driver, 1_000);
    assert.equal(worker.take().length, 1);
  });

  test("is shared by all queues", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    limit(driver, "t", "10,2");
    driver.enqueue("a", { count: 50, throttleKeys: ["t"] });
    driver.enqueue("a", { count: 50, throttleKeys: ["t"], queue: "r" });
    const [q, r] = [driver.open({ credit: 100 }), driver.open({ credit: 100, queue: "r" })];
    runFor(driver, 4_000);
    const served = [q.take().length, r.take().length];
    assert.equal(served[0]! + served[1]!, 42);
    assert.ok(Math.abs(served[0]! - served[1]!) <= 2, served.join());
  });

  test("a change acts at once: higher, lower, none, blocked; no change adds tokens", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "1,2");
    driver.enqueue("a", { count: 1_000, throttleKeys: ["t"] });
    const worker = driver.open({ credit: 1_000 });
    const after = (ms: number): number => {
      runFor(driver, ms);
      return worker.take().length;
    };
    assert.equal(after(0), 2);
    limit(driver, "t", "100,2");
    assert.equal(after(100.1), 10);
    limit(driver, "t", "100,500");
    assert.equal(after(0), 0, "a raised burst adds nothing");
    assert.equal(after(50.1), 5);
    limit(driver, "t", "100,0.5");
    assert.equal(after(10_000), 0, "a burst below 1 blocks");
    limit(driver, "t", "0,5");
    assert.equal(after(10_000), 0);
    limit(driver, "t", "");
    assert.equal(after(0), 983);
  });

  test("a limit that is made anew while messages name its key has no more tokens than before", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "1,5");
    driver.enqueue("a", { count: 100, throttleKeys: ["t"] });
    const worker = driver.open({ credit: 5 });
    assert.equal(worker.take().length, 5);
    limit(driver, "t", "");
    runFor(driver, 60_000);
    limit(driver, "t", "1,5");
    worker.credit(100);
    assert.equal(worker.take().length, 0);
    limit(driver, "t", "");
    const rest = driver.core.state.leases.values();
    for (const { slot, token } of [...rest]) driver.tell(driver.core.state.idOf(slot), "ack", { token });
    assert.equal(driver.stats().depth, 0);
    limit(driver, "t", "1,5");
    driver.enqueue("a", { count: 100, throttleKeys: ["t"] });
    assert.equal(worker.take().length, 5 + 95, "nobody named it, so it began anew");
  });

  test("cost counts, and what is dearer than the burst takes all of it", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "10,4");
    driver.enqueue("a", { cost: 3, throttleKeys: ["t"] });
    driver.enqueue("a", { cost: 900, throttleKeys: ["t"] });
    driver.enqueue("a", { cost: 1, throttleKeys: ["t"] });
    const worker = driver.open({ credit: 100 });
    assert.equal(worker.take().length, 1);
    runFor(driver, 299);
    assert.equal(worker.take().length, 0);
    runFor(driver, 1.1);
    assert.equal(worker.take().length, 1);
    runFor(driver, 99);
    assert.equal(worker.take().length, 0);
    runFor(driver, 2);
    assert.equal(worker.take().length, 1);
  });

  test("after a restart it is full", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "1,3");
    driver.enqueue("a", { count: 20, throttleKeys: ["t"] });
    driver.open({ credit: 100, kind: "poll" });
    restarted(driver);
    assert.equal(driver.open({ credit: 100 }).take().length, 3);
    assert.equal(keysIn(driver.open({ credit: 100 })), "");
  });
});

test("in any stretch of two hours at most rate x time + burst is charged, for one key and for two on a message; and all of it", () => {
  const driver = new CoreDriver();
  driver.checked = false;
  update(driver, noExpiry);
  const buckets = [
    { name: "a", rate: 2, burst: 5 },
    { name: "b", rate: 0.5, burst: 20 },
  ];
  const costs = new Map<string, number>();
  for (const { name, rate, burst } of buckets) limit(driver, name, `${rate},${burst}`);
  for (let n = 0; n < 12_000; n += 1) {
    const throttleKeys = [["a"], ["a"], ["a"], ["b"], ["a", "b"]][n % 5]!;
    const cost = 1 + (n % 4);
    for (const id of driver.enqueue(`k${n % 7}`, { cost, throttleKeys })) costs.set(id, cost);
  }
  const seconds = 2 * 3_600;
  const end = driver.mono + seconds * 1_000;
  const worker = driver.open({ credit: 1e9 });
  const charged = buckets.map(({ burst }) => ({ at: driver.mono, stretch: 0, worst: 0, all: -burst }));
  while (driver.mono < end) {
    for (const { id, throttleKeys } of worker.take()) {
      for (const [n, { name, rate }] of buckets.entries()) {
        if (!throttleKeys.includes(name)) continue;
        const sum = charged[n]!;
        // The worst stretch that ends now: the one before goes on, or a new one begins.
        sum.stretch = Math.max(0, sum.stretch - ((driver.mono - sum.at) * rate) / 1_000) + costs.get(id)!;
        sum.at = driver.mono;
        sum.worst = Math.max(sum.worst, sum.stretch);
        sum.all += costs.get(id)!;
      }
    }
    driver.wait(Math.max(0, driver.core.nextDeadline - driver.mono));
  }
  for (const [n, { name, rate, burst }] of buckets.entries()) {
    const { worst, all } = charged[n]!;
    assert.ok(worst <= burst + 1e-6, `${name}: ${worst} beyond its rate, where ${burst} are the burst`);
    assert.ok(all >= 0.995 * rate * seconds, `${name}: ${all} of ${rate * seconds}`);
  }
});

describe("keys behind one bucket", () => {
  test("10,000 of them, of weights 1 to 10, have exact shares by weight, and are looked at once for each delivery", () => {
    const driver = new CoreDriver();
    driver.checked = false;
    limit(driver, "t", "1e6,100");
    const keys = 10_000;
    const weightOf = (n: number): number => 1 + (n % 10);
    for (let n = 0; n < keys; n += 1) {
      driver.enqueue(`k${n}`, { count: 3 * weightOf(n), weight: weightOf(n), throttleKeys: ["t"] });
    }
    const worker = driver.open({ credit: 1e9 });
    const { throttles } = driver.core.state;
    let looks = 0;
    const real = throttles.shortageOf.bind(throttles);
    throttles.shortageOf = (lane, now) => {
      looks += 1;
      return real(lane, now);
    };
    const total = keys * 5.5;
    while (worker.received.length < total) {
      driver.wait(Math.max(0, driver.core.nextDeadline - driver.mono));
      worker.take();
    }
    const firstLooks = looks;
    const offAfter = (rounds: number): number[] =>
      [...served(worker)].flatMap(([key, count]) => {
        const off = count - rounds * weightOf(Number(key.slice(1)));
        return off === 0 ? [] : [off];
      });
    assert.deepEqual([served(worker).size, offAfter(1)], [keys, []]);
    while (worker.received.length < 2 * total) {
      driver.wait(Math.max(0, driver.core.nextDeadline - driver.mono));
      worker.take();
    }
    assert.deepEqual(offAfter(2), []);
    // Everybody was parked by now: one look as it is served, and one as it goes to the back of the line.
    assert.ok(looks - firstLooks <= 2.2 * total, `${(looks - firstLooks) / total} looks a delivery`);
  });

  test("get shares by weight in cost units, whatever their costs: within the dearest message and a visit", () => {
    const one = fc.record({ weight: fc.integer({ min: 1, max: 10 }), cost: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(fc.array(one, { minLength: 2, maxLength: 6 }), (keys) => {
        const driver = new CoreDriver();
        driver.checked = false;
        limit(driver, "t", "1000,12");
        keys.forEach(({ weight, cost }, n) =>
          driver.enqueue(`k${n}`, { count: 400, weight, cost, throttleKeys: ["t"] }),
        );
        const worker = driver.open({ credit: 1e9 });
        const rounds = 20;
        const total = keys.reduce((sum, { weight }) => sum + weight, 0);
        runFor(driver, rounds * total, worker);
        const costs = new Map(keys.map(({ cost }, n) => [`k${n}`, cost]));
        const sums = served(worker, costs);
        const all = [...sums.values()].reduce((sum, each) => sum + each, 0);
        assert.ok(all <= rounds * total + 12 && all >= rounds * total - 12, `${all} of ${rounds * total}`);
        keys.forEach(({ weight, cost }, n) => {
          const share = sums.get(`k${n}`) ?? 0;
          const due = (all * weight) / total;
          assert.ok(Math.abs(share - due) <= 2 * (cost + weight) + 24, `k${n}: ${share}, ${due} were due`);
        });
      }),
      { seed, numRuns: 60 },
    );
  });

  test("who comes while others wait takes nothing that they wait for", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "10,10");
    const worker = driver.open({ credit: 1_000 });
    driver.enqueue("first", { cost: 10, throttleKeys: ["t"] });
    driver.enqueue("dear", { cost: 10, weight: 10, throttleKeys: ["t"] });
    for (let n = 0; n < 10; n += 1) {
      runFor(driver, 95, worker);
      driver.enqueue(`new ${n}`, { throttleKeys: ["t"] });
      assert.equal(worker.received.length, 1);
    }
    runFor(driver, 51, worker);
    assert.deepEqual(
      worker.received.map(({ fairnessKey }) => fairnessKey),
      ["first", "dear"],
    );
  });

  test("a lane of cost 10 beside lanes of cost 1 has its share, also of another queue", () => {
    const driver = new CoreDriver();
    driver.checked = false;
    driver.createQueue("r", noExpiry);
    update(driver, noExpiry);
    limit(driver, "t", "100,10");
    for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 3_000, throttleKeys: ["t"] });
    driver.enqueue("x", { count: 300, cost: 10, throttleKeys: ["t"] });
    driver.enqueue("y", { count: 300, cost: 10, throttleKeys: ["t"], queue: "r" });
    const workers = [driver.open({ credit: 1e9 }), driver.open({ credit: 1e9, queue: "r" })];
    runFor(driver, 100_000, ...workers);
    const sums = new Map<string, number>();
    const costs = new Map([
      ["x", 10],
      ["y", 10],
    ]);
    for (const worker of workers) for (const [key, sum] of served(worker, costs)) sums.set(key, sum);
    for (const [key, sum] of sums) assert.ok(Math.abs(sum - 2_000) <= 40, `${key}: ${sum} of 10,000`);
  });
});

/** Charged cost by bucket, in any window, against what the bucket may give. */
function checkPromise(worker: ConsumerDriver, key: string, rate: number, burst: number): void {
  const times = worker.received
    .filter(({ throttleKeys }) => throttleKeys.includes(key))
    .map(({ leasedAt }) => leasedAt);
  for (let from = 0; from < times.length; from += 1) {
    for (let to = from; to < times.length; to += Math.max(1, Math.floor((to - from) / 8))) {
      const most = (rate * (times[to]! - times[from]!)) / 1_000 + burst;
      assert.ok(to - from + 1 <= most + 1e-6, `${key}: ${to - from + 1} in ${times[to]! - times[from]!} ms`);
    }
  }
}

interface Limit {
  readonly rate: number;
  readonly burst: number;
}

interface Contender {
  readonly sets: ("a" | "b" | "c")[];
  readonly weight: number;
  readonly cost: number;
  readonly queue: string;
}

describe("several buckets", () => {
  test("a message takes from all or from none, and duplicates count once", () => {
    const driver = new CoreDriver();
    limit(driver, "a", "1,2");
    limit(driver, "b", "1,1");
    driver.enqueue("k", { count: 5, throttleKeys: ["a", "b"] });
    driver.enqueue("l", { count: 5, throttleKeys: ["a"] });
    const worker = driver.open({ credit: 100 });
    assert.equal(worker.take().length, 2, "what the first ones left in a was not taken in vain");
  });

  test("one slow tenant does not stall the shared one: it is held up by its own bucket alone", () => {
    const driver = new CoreDriver();
    driver.checked = false;
    update(driver, noExpiry);
    limit(driver, "all", "100,10");
    limit(driver, "slow", "1,1");
    driver.enqueue("slow", { count: 300, throttleKeys: ["all", "slow"] });
    for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 3_000, throttleKeys: ["all"] });
    const worker = driver.open({ credit: 1e9 });
    runFor(driver, 60_000, worker);
    const counts = served(worker);
    assert.ok(counts.get("slow")! >= 57 && counts.get("slow")! <= 61, `slow: ${counts.get("slow")}`);
    assert.ok(worker.received.length >= 0.98 * 6_000, `${worker.received.length} of 6,000`);
    checkPromise(worker, "all", 100, 10);
    checkPromise(worker, "slow", 1, 1);
  });

  /** Where lanes that are called elsewhere would starve the others, if they went first. */
  const both: Contender = { sets: ["a", "c"], weight: 1, cost: 1, queue: "q" };
  const calledFirst: [[Limit, Limit, Limit], Contender[]] = [
    [
      { rate: 21, burst: 1 },
      { rate: 5, burst: 1 },
      { rate: 10, burst: 1 },
    ],
    [{ ...both, sets: ["a"] }, both, { ...both, sets: ["c"], queue: "r" }, both, both],
  ];

  test("nobody starves, whatever is contended, and a shared bucket is used", () => {
    const names = ["a", "b", "c"] as const;
    const bucket = fc.record({ rate: fc.integer({ min: 5, max: 100 }), burst: fc.integer({ min: 1, max: 12 }) });
    const sets = fc.subarray([...names], { minLength: 1 });
    const lane = fc.record({
      sets,
      weight: fc.integer({ min: 1, max: 4 }),
      cost: fc.integer({ min: 1, max: 5 }),
      queue: fc.constantFrom("q", "r"),
    });
    fc.assert(
      fc.property(
        fc.tuple(bucket, bucket, bucket),
        fc.array(lane, { minLength: 2, maxLength: 9 }),
        (buckets, lanes) => {
          const driver = new CoreDriver();
          driver.createQueue("r", noExpiry);
          update(driver, noExpiry);
          driver.checked = false;
          buckets.forEach(({ rate, burst }, n) => limit(driver, names[n]!, `${rate},${burst}`));
          lanes.forEach(({ sets: throttleKeys, weight, cost, queue }, n) =>
            driver.enqueue(`k${n}`, { count: 700, weight, cost, queue, throttleKeys }),
          );
          const workers = [driver.open({ credit: 1e9 }), driver.open({ credit: 1e9, queue: "r" })];
          const seconds = 60;
          runFor(driver, seconds * 1_000, ...workers);
          const used = new Map<string, number>();
          const got = new Array<number>(lanes.length).fill(0);
          for (const { fairnessKey, throttleKeys } of workers.flatMap(({ received }) => received)) {
            const n = Number(fairnessKey.slice(1));
            got[n]! += 1;
            for (const key of throttleKeys) {
              const { burst } = buckets[names.indexOf(key as "a")]!;
              used.set(key, (used.get(key) ?? 0) + Math.min(lanes[n]!.cost, burst));
            }
          }
          lanes.forEach(({ sets: keys, weight, cost }, n) => {
            // A share of the bucket at which it gets least, as if all that name it were contending there all the time.
            const shares = keys.map((key) => {
              const { rate, burst } = buckets[names.indexOf(key)]!;
              const rivals = lanes.filter((each) => each.sets.includes(key));
              // In a round each lane has its weight in cost units; a message dearer than the burst takes no more than that.
              const perRound = rivals.map((each) => (each.weight * Math.min(each.cost, burst)) / each.cost);
              const rounds = (rate * seconds) / perRound.reduce((sum, tokens) => sum + tokens, 0);
              return (rounds * weight) / cost;
            });
            const due = Math.min(...shares, 700);
            assert.ok(got[n]! >= due / 4 - 2, `lane ${n} got ${got[n]}, ${due} were its share`);
          });
          // What everybody needs is the bottleneck of at least one lane, so it is used.
          const whole = names.some((key, n) => {
            const { rate, burst } = buckets[n]!;
            return (used.get(key) ?? 0) >= 0.7 * rate * seconds - burst;
          });
          assert.ok(whole || got.some((each) => each === 700), `${[...used].join(" ")}: none is used up`);
        },
      ),
      { seed, numRuns: 120, examples: [calledFirst] },
    );
  });
});

describe("a queue that does not deliver", () => {
  const ways: Readonly<Record<string, (driver: CoreDriver, worker: ConsumerDriver) => void>> = {
    "is paused": (driver) => update(driver, { paused: true }),
    "is full": (driver) => update(driver, { maxInFlight: 1 }),
    "has nobody left": (_, worker) => worker.close(worker.received.length),
    "is deleted": (driver) => void driver.deleteQueue("q"),
    "has keys that are paused": (driver) => {
      for (const fairnessKey of ["a", "b", "c"]) {
        driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey, override: { paused: true } }));
      }
    },
  };
  for (const [name, stop] of Object.entries(ways)) {
    test(`and ${name} holds up nobody else at the bucket`, () => {
      const driver = new CoreDriver();
      driver.createQueue("r");
      limit(driver, "t", "100,1");
      for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 30, throttleKeys: ["t"] });
      for (const key of ["x", "y"]) driver.enqueue(key, { count: 150, throttleKeys: ["t"], queue: "r" });
      const q = driver.open({ credit: 200 });
      const r = driver.open({ credit: 300, queue: "r" });
      runFor(driver, 100, q, r);
      stop(driver, q);
      const before = r.received.length;
      runFor(driver, 2_000, q, r);
      const got = r.received.length - before;
      assert.ok(got >= 0.9 * 200, `${got} of 200`);
    });
  }

  test("but is merely busy does not starve, however dear its message", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    driver.checked = false;
    limit(driver, "t", "100,10");
    driver.enqueue("dear", { count: 80, cost: 10, weight: 10, throttleKeys: ["t"] });
    driver.enqueue("free", { count: 500 });
    driver.enqueue("x", { count: 9_000, throttleKeys: ["t"], queue: "r" });
    const q = driver.open();
    const r = driver.open({ credit: 1e9, queue: "r" });
    // A worker that takes one message every 700 ms, and always has another one that it could take.
    for (let n = 0; n < 100; n += 1) {
      const [delivery] = q.pull(1);
      runFor(driver, 700, r);
      if (delivery !== undefined) q.settle(delivery, "ack");
    }
    const dear = served(q).get("dear") ?? 0;
    assert.ok(dear >= 10, `${dear} dear ones in 100`);
    assert.ok(r.received.length >= 0.6 * 7_000, `${r.received.length} of 7,000 for the other queue`);
  });
});
