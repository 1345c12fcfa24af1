// Opens a crash image with a fresh broker and holds it against what its clients know. Twice: what the first opening found and
// did must be there after the second.
import assert from "node:assert/strict";
import type { Broker } from "../../server/src/broker/contract.ts";
import { openBroker } from "../../server/src/broker/open-broker.ts";
import { Listener } from "../../server/src/broker/testing/listener.ts";
import { ManualClock } from "../../server/src/broker/testing/manual-clock.ts";
import type { Storage } from "../../server/src/storage/port.ts";
import { poll, settle, who } from "./broker-calls.ts";
import { type Facts, type MessageFacts, type NotedLease, type Tag, factsOf } from "./broker-notes.ts";
import type { BrokerNote } from "./broker-notes.ts";
import { type SentMessage, tagOf } from "./sent-message.ts";
import { type StoredCounts, checkStored, resumeAll } from "./stored-check.ts";

/** Past every lease. */
const LONG_MS = 24 * 3_600_000;

/** What the image held, for counting. */
export interface Found {
  readonly refused: boolean;
  readonly messages: number;
  /** Tokens from before the crash that settled after it. */
  readonly tokensSettled: number;
  readonly leasesTakenUp: number;
  readonly acknowledged: boolean;
  readonly inSlice: boolean;
  readonly stored: StoredCounts;
}

interface Image {
  readonly certain: readonly BrokerNote[];
  readonly possible: readonly BrokerNote[];
}

/** @throws AssertionError when a promise is broken */
export async function checkImage(
  image: Image,
  open: () => Promise<Storage>,
  sent: ReadonlyMap<Tag, SentMessage>,
): Promise<Found> {
  const facts = factsOf(image.certain, image.possible);
  const { acknowledged, inSlice } = facts;
  const now = Date.now();
  const first = await Opened.open(open, now).catch((error: unknown) => {
    if (acknowledged) throw new Error("refused, though something was acknowledged", { cause: error });
    return undefined;
  });
  if (first === undefined) {
    const stored = { delayed: 0, dying: 0, dead: 0, settings: 0, uses: 0 };
    return { refused: true, messages: 0, tokensSettled: 0, leasesTakenUp: 0, acknowledged, inSlice, stored };
  }
  const queues = await checkQueues(first.broker, facts);
  const stored = await checkStored(first.broker, facts, sent);
  await resumeAll(first.broker, queues);
  const leasesTakenUp = await takeUpLeases(first.broker, facts, sent);
  const acked = await ackHeld(first.broker, facts, sent);
  const found = await first.drain();
  checkMessages(facts, sent, found, acked);
  checkOrder(facts, sent, found);
  const kept = await ackHalf(first.broker, found);
  await first.close();

  const second = await Opened.open(open, now + LONG_MS);
  const again = await second.drain();
  assert.deepEqual(
    again.map(({ tag, attempts }) => [tag, attempts]).sort(([a], [b]) => a! - b!),
    // They were leased when the first broker ended, which counts.
    kept.map(({ tag, attempts }) => [tag, attempts + 1]).sort(([a], [b]) => a! - b!),
    "the second opening finds what the first left",
  );
  await second.close();
  return {
    refused: false,
    messages: found.length,
    tokensSettled: acked.size,
    leasesTakenUp,
    acknowledged,
    inSlice,
    stored,
  };
}

interface FoundMessage extends NotedLease {
  readonly queue: string;
  readonly fairnessKey: string;
  readonly body: Uint8Array;
}

class Opened {
  readonly broker: Broker;
  readonly #clock: ManualClock;
  readonly #errors: readonly string[];

  private constructor(broker: Broker, clock: ManualClock, errors: readonly string[]) {
    this.broker = broker;
    this.#clock = clock;
    this.#errors = errors;
  }

  /** At this time of day. */
  static async open(open: () => Promise<Storage>, wall: number): Promise<Opened> {
    const errors: string[] = [];
    const clock = new ManualClock();
    clock.set(wall - clock.wall());
    const broker = await openBroker({
      open,
      clock,
      log: { info: () => undefined, warn: () => undefined, error: (message) => errors.push(message) },
      fatal: (error) => errors.push(String(error)),
      payloadCacheBytes: 16 * 1024,
    });
    return new Opened(broker, clock, errors);
  }

  /** Ends every lease, and leases whatever there is. */
  async drain(): Promise<FoundMessage[]> {
    const found: FoundMessage[] = [];
    const { queues } = await listQueues(this.broker);
    this.#clock.advance(LONG_MS);
    for (const { name } of queues) {
      for (;;) {
        const deliveries = await poll(this.broker, name, 1_000, LONG_MS / 2);
        for (const { id, queue, fairnessKey, body, token, attempts } of deliveries) {
          found.push({ tag: tagOf(body), id, token, attempts, session: "", queue, fairnessKey, body });
        }
        if (deliveries.length > 0) continue;
        const stats = await this.broker.queueStats(name, 0);
        assert.ok(stats.ok);
        // Whatever was leased is with us; expiry goes in slices.
        if (stats.value.inFlight === found.filter(({ queue }) => queue === name).length) {
          assert.equal(stats.value.depth, stats.value.inFlight);
          break;
        }
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.broker.stop(0);
    assert.deepEqual(this.#errors, [], "the broker reports no damage");
  }
}

async function listQueues(broker: Broker) {
  const page = await broker.listQueues("", 1_000);
  assert.ok(page.ok);
  return page.value;
}

/** Returns their names. */
async function checkQueues(broker: Broker, { certainQueues, possibleQueues }: Facts): Promise<readonly string[]> {
  const names = new Set((await listQueues(broker)).queues.map(({ name }) => name));
  for (const { name } of certainQueues.values()) assert.ok(names.has(name), `queue ${name} is there`);
  const possible = new Set([...possibleQueues.values()].map(({ name }) => name));
  for (const name of names) {
    const own = name.replace(/\.dlq$/, "");
    assert.ok(possible.has(own), `queue ${name} was deleted, or never created`);
    // They come and go in one commit.
    assert.ok(names.has(own) && names.has(`${own}.dlq`), `queue ${own} and its dead-letter queue are there together`);
  }
  return [...names];
}

/** Leases that somebody holds for certain, in queues that are there for certain. */
function certainLeases(facts: Facts, sent: ReadonlyMap<Tag, SentMessage>): (NotedLease & { queue: string })[] {
  const leases = [];
  for (const { lease } of facts.messages.values()) {
    const queue = lease === undefined ? undefined : sent.get(lease.tag)?.queue;
    if (lease === undefined || queue === undefined || !facts.certainQueues.has(queue.number)) continue;
    leases.push({ ...lease, queue: queue.name });
  }
  return leases;
}

/** Streams that name themselves come back and are given what they held. */
async function takeUpLeases(broker: Broker, facts: Facts, sent: ReadonlyMap<Tag, SentMessage>): Promise<number> {
  const bySession = Map.groupBy(certainLeases(facts, sent), ({ session }) => session);
  bySession.delete("");
  let takenUp = 0;
  for (const [session, leases] of bySession) {
    const adopted: string[] = [];
    const listener = new (class extends Listener {
      override opened(visibilityMs: number, given: readonly { readonly id: string }[]): void {
        adopted.push(...given.map(({ id }) => id));
        super.opened(visibilityMs, given);
      }
    })();
    const options = { kind: "stream", ...who, worker: "", session, visibilityMs: 0, credit: 0 } as const;
    broker.openConsumer({ queue: leases[0]!.queue, ...options }, listener);
    await listener.until((told) => told.isOpen);
    for (const { id } of leases) assert.ok(adopted.includes(id), `the lease of ${id} is given back to ${session}`);
    takenUp += adopted.length;
  }
  return takenUp;
}

/** Every second token from before the crash acks its message. */
async function ackHeld(broker: Broker, facts: Facts, sent: ReadonlyMap<Tag, SentMessage>): Promise<Set<Tag>> {
  const chosen = certainLeases(facts, sent).filter(({ tag }) => tag % 2 === 0);
  for (const [queue, leases] of Map.groupBy(chosen, (lease) => lease.queue)) {
    const outcomes = await ack(broker, queue, leases);
    for (const [at, outcome] of outcomes.entries()) {
      assert.equal(outcome, undefined, `the token of message ${leases[at]?.id} settles: ${JSON.stringify(outcome)}`);
    }
  }
  return new Set(chosen.map(({ tag }) => tag));
}

function ack(broker: Broker, queue: string, leases: readonly NotedLease[]) {
  const items = leases.map(({ id, token }) => ({ id, token, action: "ack" as const, error: "", extendMs: 0 }));
  return settle(broker, queue, items);
}

function checkMessages(
  facts: Facts,
  sent: ReadonlyMap<Tag, SentMessage>,
  found: readonly FoundMessage[],
  acked: ReadonlySet<Tag>,
): void {
  const byTag = new Map<Tag, FoundMessage>();
  for (const each of found) {
    const { tag, id, body, queue, fairnessKey } = each;
    const message = sent.get(tag);
    const known = facts.messages.get(tag);
    assert.ok(message !== undefined && known !== undefined, `message ${id} was never sent`);
    assert.ok(!byTag.has(tag), `message ${id} is there twice`);
    byTag.set(tag, each);
    assert.ok(Buffer.from(message.body).equals(body), `message ${id} has the bytes that were sent`);
    assert.equal(fairnessKey, message.fairnessKey, `message ${id} has the key that was sent`);
    checkPlace(queue, message, known);
    assert.ok(!known.gone, `message ${id} was acked or removed, and is back`);
    assert.ok(!acked.has(tag), `message ${id} was acked after the crash, and is back`);
    assert.ok(facts.possibleQueues.has(message.queue.number), `message ${id} belongs to a queue that was deleted`);
    checkAttempts(each, known);
  }
  for (const [tag, known] of facts.messages) {
    const message = sent.get(tag);
    if (!known.stored || known.mayBeGone || acked.has(tag)) continue;
    if (message === undefined || !facts.certainQueues.has(message.queue.number)) continue;
    if (message.ttlMs > 0 && message.queue.expiredTo === "drop") continue;
    assert.ok(byTag.has(tag), `message number ${tag} of ${message.queue.name} was acknowledged, and is lost`);
  }
}

/** Times to live are over by now. */
function checkPlace(found: string, { tag, queue, ttlMs }: SentMessage, { dead }: MessageFacts): void {
  const name = `message number ${tag} is in ${found}`;
  if (ttlMs > 0) {
    assert.equal(queue.expiredTo, "dead-letter", `${name}, and its time to live is over`);
    assert.equal(found, `${queue.name}.dlq`, name);
  } else if (dead === "maybe") assert.ok([queue.name, `${queue.name}.dlq`].includes(found), name);
  else assert.equal(found, dead === "yes" ? `${queue.name}.dlq` : queue.name, name);
}

function checkAttempts({ id, attempts }: FoundMessage, known: MessageFacts): void {
  // A lease that stood at the crash has ended since, which is one more.
  const least = known.lease === undefined ? known.leastAttempts : known.lease.attempts + 1;
  assert.ok(attempts >= least, `message ${id} has ${attempts} attempts, ${least} were told`);
  assert.ok(
    attempts <= known.mostAttempts,
    `message ${id} has ${attempts} attempts, at most ${known.mostAttempts} were made`,
  );
}

/** What nobody has ever had in hand is in the order in which it was sent, per key. */
function checkOrder(facts: Facts, sent: ReadonlyMap<Tag, SentMessage>, found: readonly FoundMessage[]): void {
  const untouched = found.filter(({ tag, attempts }) => {
    const message = sent.get(tag);
    return (
      attempts === 0 && facts.messages.get(tag)?.untouched === true && message?.delayMs === 0 && message.ttlMs === 0
    );
  });
  for (const messages of Map.groupBy(
    untouched,
    ({ tag, fairnessKey }) => `${sent.get(tag)?.queue.number} ${fairnessKey}`,
  ).values()) {
    const tags = messages.map(({ tag }) => tag);
    assert.deepEqual(
      tags,
      tags.toSorted((a, b) => a - b),
      "each key in order",
    );
  }
}

/** Returns the others. */
async function ackHalf(broker: Broker, found: readonly FoundMessage[]): Promise<FoundMessage[]> {
  const [half, others] = [found.filter((_, at) => at % 2 === 0), found.filter((_, at) => at % 2 === 1)];
  for (const [queue, leases] of Map.groupBy(half, (lease) => lease.queue)) {
    for (const outcome of await ack(broker, queue, leases)) assert.equal(outcome, undefined);
  }
  return others;
}
