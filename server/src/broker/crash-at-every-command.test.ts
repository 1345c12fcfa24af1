// A crash at each commit of every command that changes anything: whether the commit reached the disk or not, after the
// restart all of the command is there or nothing of it, and nothing was answered OK that is not there. What time alone
// does: crash-when-time-is-up.test.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Command } from "../core/commands.ts";
import type { Consumer, LoadedDelivery, Outcome } from "./contract.ts";
import { BrokerRig, itemOf, keyOf, settlement, textOf, valueOf } from "./testing/broker-rig.ts";
import { type Crash, failOnce, passCommits, seen } from "./testing/crash.ts";
import { Listener } from "./testing/listener.ts";

const day = 86_400_000;

interface World {
  readonly rig: BrokerRig;
  /** Leased from q, each with its text. */
  readonly held: ReadonlyMap<string, LoadedDelivery>;
  /** Hold one message of s each, at its first and at its last attempt. */
  readonly streams: readonly Consumer[];
  /** Ids of what waits in q. */
  readonly waiting: ReadonlyMap<string, string>;
}

async function world(): Promise<World> {
  const rig = await BrokerRig.open();
  const { broker, clock } = rig;
  valueOf(await broker.createQueue("q", { initialBackoffMs: 50, maxAttempts: 2 }));
  valueOf(await broker.createQueue("p", {}));
  const streams = await streamsOfS(rig);
  for (const text of ["dead 1", "dead 2", "held 1", "held 2"]) await rig.enqueue(itemOf("q", text, { weight: 3 }));
  const held = new Map((await rig.lease("q")).map((delivery) => [textOf(delivery), delivery]));
  for (const text of ["dead 1", "dead 2"]) {
    await rig.settle("q", settlement(held.get(text)!, "nack", { deadLetter: true, error: `no ${text}` }));
    held.delete(text);
  }
  const waiting = new Map<string, string>();
  for (const item of [
    itemOf("q", "ready 1", { idempotencyKey: keyOf("used") }),
    itemOf("q", "ready 2", { fairnessKey: "other", weight: 5 }),
    itemOf("q", "delayed", { delayMs: day, ttlMs: 2 * day }),
    itemOf("q", "scheduled", { deliverAt: clock.wall() + day }),
  ]) {
    const [outcome] = await rig.enqueue(item);
    assert.ok(typeof outcome === "string");
    waiting.set(textOf(item), outcome);
  }
  await rig.enqueue(itemOf("p", "of p"), itemOf("p.dlq", "of p's dead letters"));
  valueOf(await broker.operations.setKey("q", "paused", { paused: true, weight: 9 }));
  valueOf(await broker.operations.setConfig("a", "1"));
  return { rig, held, streams, waiting };
}

async function streamsOfS(rig: BrokerRig): Promise<Consumer[]> {
  const { broker } = rig;
  valueOf(await broker.createQueue("s", { initialBackoffMs: 0, maxAttempts: 2 }));
  const open = async (session: string): Promise<Consumer> => {
    const listener = new Listener();
    const options = { queue: "s", kind: "stream", session, visibilityMs: 0, credit: 1, worker: "w" } as const;
    const consumer = broker.openConsumer({ ...options, connection: 2, principal: "anonymous" }, listener);
    await listener.until(({ deliveries }) => deliveries.length === 1);
    consumer.written(1);
    return consumer;
  };
  await rig.enqueue(itemOf("s", "last attempt"));
  const [once] = await rig.lease("s");
  await rig.settle("s", settlement(once!, "nack", { error: "once" }));
  const last = await open("of the last attempt");
  await rig.enqueue(itemOf("s", "first attempt"));
  return [await open("of the first attempt"), last];
}

/** Every command that changes anything; true = answered OK. */
const commands = {
  enqueue: ({ rig }) => done(rig.enqueue(itemOf("q", "new", { fairnessKey: "new", weight: 7 }))),
  "enqueue of many": ({ rig }) => done(rig.enqueue(...["a", "b", "c"].map((text) => itemOf("q", text)))),
  "enqueue with a delay": ({ rig }) => done(rig.enqueue(itemOf("q", "new", { delayMs: day }))),
  "enqueue for a time of day": ({ rig }) =>
    done(rig.enqueue(itemOf("q", "new", { deliverAt: rig.clock.wall() + day }))),
  "enqueue with a time to live": ({ rig }) => done(rig.enqueue(itemOf("q", "new", { ttlMs: day }))),
  "enqueue with an idempotency key": ({ rig }) =>
    done(rig.enqueue(itemOf("q", "new", { idempotencyKey: keyOf("new") }))),
  lease: async ({ rig }) => (await rig.lease("q")).length > 0,
  ack: ({ rig, held }) => done(rig.settle("q", settlement(held.get("held 1")!, "ack"))),
  nack: ({ rig, held }) => done(rig.settle("q", settlement(held.get("held 1")!, "nack", { delayMs: day }))),
  "nack as a dead letter": ({ rig, held }) =>
    done(rig.settle("q", settlement(held.get("held 1")!, "nack", { deadLetter: true, error: "why" }))),
  "extend a lease": ({ rig, held }) =>
    done(
      rig.settle(
        "q",
        settlement(held.get("held 1")!, "extend", { extendMs: 60_000 }),
        settlement(held.get("held 2")!, "ack"),
      ),
    ),
  release: ({ rig, held }) => done(rig.settle("q", settlement(held.get("held 2")!, "release"))),
  "settlements of many kinds": ({ rig, held }) =>
    done(rig.settle("q", settlement(held.get("held 1")!, "ack"), settlement(held.get("held 2")!, "nack"))),
  "the end of a stream": (world) => ends(world, 0),
  "the end of a stream at the last attempt": (world) => ends(world, 1),
  "create a queue": ({ rig }) => ok(rig.broker.createQueue("new", { maxAttempts: 5 })),
  "delete a queue": ({ rig }) => ok(rig.broker.deleteQueue("p")),
  "delete a dead-letter queue": ({ rig }) => ok(rig.broker.deleteQueue("p.dlq")),
  "update a queue": ({ rig }) => ok(rig.broker.operations.updateQueue("q", { maxAttempts: 7, expiredTo: "drop" })),
  "pause a queue": ({ rig }) => ok(rig.broker.operations.updateQueue("q", { paused: true })),
  "set a key": ({ rig }) => ok(rig.broker.operations.setKey("q", "k", { weight: 11, paused: true })),
  "give a key's settings back": ({ rig }) =>
    ok(rig.broker.operations.setKey("q", "paused", { weight: 0, paused: false })),
  "cancel a message that waits": ({ rig, waiting }) =>
    ok(rig.broker.operations.cancelMessage("q", waiting.get("delayed")!)),
  "cancel a leased message": ({ rig, held }) => ok(rig.broker.operations.cancelMessage("q", held.get("held 1")!.id)),
  purge: ({ rig }) => ok(rig.broker.operations.purgeQueue("q")),
  "purge dead letters": ({ rig }) => ok(rig.broker.operations.purgeQueue("q.dlq")),
  redrive: ({ rig }) =>
    ok(
      rig.broker.operations.redrive(
        { queue: "q.dlq", filter: { errorContains: "dead 2" }, count: 0, dryRun: false, ratePerSecond: 0 },
        () => undefined,
        new AbortController().signal,
      ),
    ),
  "set a value": ({ rig }) => ok(rig.broker.operations.setConfig("b", "2")),
  "delete a value": ({ rig }) => ok(rig.broker.operations.setConfig("a", "")),
  "release an idempotency key": ({ rig }) => ok(rig.broker.operations.releaseIdempotencyKey("q", keyOf("used"))),
} satisfies Readonly<Record<string, (world: World) => Promise<boolean>>>;

type Row = keyof typeof commands;

/** Which rows are of which command of the core; a text: why there is none. */
const rows: Readonly<Record<Command["type"], readonly Row[] | string>> = {
  enqueue: [
    "enqueue",
    "enqueue of many",
    "enqueue with a delay",
    "enqueue for a time of day",
    "enqueue with a time to live",
    "enqueue with an idempotency key",
  ],
  open: ["lease"],
  settle: ["ack", "nack", "nack as a dead letter", "extend a lease", "release", "settlements of many kinds"],
  close: ["the end of a stream", "the end of a stream at the last attempt"],
  "create-queue": ["create a queue"],
  "delete-queue": ["delete a queue", "delete a dead-letter queue"],
  "update-queue": ["update a queue", "pause a queue"],
  "set-key": ["set a key", "give a key's settings back"],
  cancel: ["cancel a message that waits", "cancel a leased message"],
  purge: ["purge", "purge dead letters"],
  redrive: ["redrive"],
  "set-config": ["set a value", "delete a value"],
  "release-key": ["release an idempotency key"],
  decided: "only hooks answer, and there are none here; what waits for them: recovered-states.test.ts",
  "script-worked": "only hooks send it, and there are none here; a change of the catalog like update-queue",
  quarantine: "needs a disk that gives other bytes back: unreadable-payloads.test.ts",
  credit: "leases come of it as of open",
  stop: "changes nothing that is stored",
  written: "changes nothing that is stored",
  undelivered: "changes nothing that is stored",
  disconnect: "changes nothing that is stored",
  "get-config": "asks",
  "list-config": "asks",
  "config-changes": "asks",
  "describe-queue": "asks",
  "list-keys": "asks",
  "find-uses": "asks",
  scan: "asks",
  "get-messages": "asks",
  explain: "asks",
  "list-queues": "asks",
  "queue-stats": "asks",
};

/** Nobody is told that a stream's end is written down; who asks in the same turn is told after it. */
function ends({ rig, streams }: World, stream: number): Promise<boolean> {
  streams[stream]!.close(1);
  return ok(rig.broker.queueStats("s", 0));
}

const done = (answer: Promise<readonly unknown[]>): Promise<boolean> =>
  answer.then(
    (outcomes) => outcomes.every((outcome) => typeof outcome !== "object"),
    () => false,
  );
const ok = async (answer: Promise<Outcome<unknown>>): Promise<boolean> => (await answer).ok;

interface Run {
  readonly commits: number;
  readonly answer: boolean | undefined;
  /** After a restart. */
  readonly seen: unknown;
}

/** @param crash undefined: after all commits */
async function run(command: (world: World) => Promise<boolean>, crash?: Crash): Promise<Run> {
  const made = await world();
  const { rig } = made;
  const { storage } = rig;
  storage.gated = true;
  let answer: boolean | undefined;
  let over = false;
  const answered = command(made).then((value) => {
    answer = value;
    over = true;
  });
  const commits = await passCommits(storage, () => over, crash);
  if (crash === undefined) {
    // So that both come from the store after a failure.
    await failOnce(rig);
  }
  storage.gated = false;
  await answered;
  await new Promise((resolve) => setImmediate(resolve));
  await rig.reopened();
  const result = { commits, answer, seen: await seen(rig) };
  await rig.broker.stop(0);
  return result;
}

test("every command of the core has its rows, or a reason why not", () => {
  const named = Object.values(rows).flatMap((each) => (typeof each === "string" ? [] : each));
  assert.deepEqual(named.sort(), Object.keys(commands).sort());
});

describe("a crash at each commit of every command", async () => {
  const before = (await run(() => Promise.resolve(true))).seen;
  for (const [name, command] of Object.entries(commands)) {
    test(name, async () => {
      const whole = await run(command);
      assert.equal(whole.answer, true);
      assert.ok(whole.commits > 0);
      assert.notDeepEqual(whole.seen, before, "it changes something");
      for (let commit = 0; commit < whole.commits; commit += 1) {
        for (const written of [false, true]) {
          const crashed = await run(command, { commit, written });
          const where = `commit ${commit + 1} of ${whole.commits}, ${written ? "written" : "not written"}`;
          const isThere = isSame(crashed.seen, whole.seen);
          if (commit === 0 && !written) assert.deepEqual(crashed.seen, before, where);
          else if (commit === whole.commits - 1 && written) assert.deepEqual(crashed.seen, whole.seen, where);
          else assert.ok(isThere || isSame(crashed.seen, before), `${where}: a part of it is there`);
          assert.ok(isThere || crashed.answer !== true, `${where}: answered OK, and is not there`);
        }
      }
    });
  }
});

function isSame(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
