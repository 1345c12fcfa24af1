// What a broker that opened a crash image shows of it, before any time passes, against what its clients know.
import assert from "node:assert/strict";
import type { Broker } from "../../server/src/broker/contract.ts";
import type { MessagePage, StoredMessage } from "../../server/src/broker/operations-contract.ts";
import { valueOf } from "../../server/src/broker/testing/broker-rig.ts";
import { type Facts, type MessageFacts, type QueueLife, type Tag, cells } from "./broker-notes.ts";
import { type SentMessage, errorOf, tagOf } from "./sent-message.ts";
import { keyValue, queueValue } from "./world-operators.ts";

/** The wall clock and the steady one may be so far apart, and an enqueue so long on its way. */
const CLOCKS_MS = 60_000;

/** How often each of these was found, for counting. */
export type StoredCounts = Readonly<Record<"delayed" | "dying" | "dead" | "settings" | "uses", number>>;

/** @throws AssertionError when a promise is broken */
export async function checkStored(
  broker: Broker,
  facts: Facts,
  sent: ReadonlyMap<Tag, SentMessage>,
): Promise<StoredCounts> {
  const counts = { delayed: 0, dying: 0, dead: 0, settings: await checkSettings(broker, facts), uses: 0 };
  const shown = new Set<Tag>();
  for (const queue of facts.certainQueues.values()) {
    counts.uses += await checkUses(broker, facts, queue, sent);
    for (const name of [queue.name, `${queue.name}.dlq`]) {
      for (const stored of await allMessages(broker, name)) {
        const tag = tagOf(stored.body!);
        const message = sent.get(tag);
        const known = facts.messages.get(tag);
        assert.ok(message !== undefined && known !== undefined && !known.gone, `message number ${tag} is gone`);
        assert.ok(!shown.has(tag), `message number ${tag} is shown twice`);
        shown.add(tag);
        checkMessage(stored, message, known);
        counts.delayed += Number(message.delayMs > 0);
        counts.dying += Number(message.ttlMs > 0);
        counts.dead += Number(name !== queue.name);
      }
    }
  }
  for (const [tag, { stored, mayBeGone }] of facts.messages) {
    const queue = sent.get(tag)?.queue.number;
    if (!stored || mayBeGone || queue === undefined || !facts.certainQueues.has(queue)) continue;
    assert.ok(shown.has(tag), `message number ${tag} was acknowledged, and is lost`);
  }
  return counts;
}

function checkMessage({ view, failure }: StoredMessage, message: SentMessage, known: MessageFacts): void {
  const { tag, queue, delayMs, ttlMs } = message;
  const isDead = view.queue !== queue.name;
  assert.notEqual(known.dead, isDead ? "no" : "yes", `message number ${tag} is in ${view.queue}`);
  assert.deepEqual(failure?.error, isDead ? errorOf(tag) : undefined, `what message number ${tag} failed of`);
  if (isDead) return;
  if (delayMs > 0) {
    assert.ok(view.state === "delayed" || view.state === "scheduled", `message number ${tag} is ${view.state}`);
    const wait = view.dueAt - view.enqueuedAt;
    assert.ok(Math.abs(wait - delayMs) < CLOCKS_MS, `message number ${tag} waits for ${wait} ms`);
  }
  const lives = view.expiresAt === 0 ? 0 : view.expiresAt - view.enqueuedAt;
  assert.ok(Math.abs(lives - ttlMs) < CLOCKS_MS, `message number ${tag} lives for ${lives} ms`);
}

async function allMessages({ operations }: Broker, queue: string): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  const query = { queue, filter: {}, limit: 1_000, withBodies: true };
  for (let after: MessagePage["next"] = undefined; ;) {
    const page: MessagePage = valueOf(await operations.listMessages({ ...query, after }));
    found.push(...page.messages.map((stored) => ({ ...stored, body: Uint8Array.from(stored.body!) })));
    if (page.next === undefined) return found;
    after = page.next;
  }
}

/** Returns how many there are. */
async function checkSettings({ operations }: Broker, facts: Facts): Promise<number> {
  const config = valueOf(await operations.listConfig("", "", 100)).entries;
  let settings = config.length;
  const values = new Map(config.map(([key, value]) => [cells.config(key), value]));
  for (const queue of facts.certainQueues.values()) {
    const description = valueOf(await operations.describeQueue(queue.name, 100));
    assert.equal(description.settings.expiredTo, queue.expiredTo);
    values.set(cells.queue(queue), queueValue(description.settings));
    for (const override of description.keys) values.set(cells.key(queue, override.key), keyValue(override));
    settings += description.keys.length;
  }
  const isThere = isOf(facts.certainQueues);
  const names = new Set([...values.keys(), ...facts.cells.keys()]);
  for (const name of names)
    if (isThere(name) && !name.startsWith("use/")) checkCell(facts, name, values.get(name) ?? "");
  return settings;
}

/** Of a queue that is there for certain, or of none. */
function isOf(queues: ReadonlyMap<number, QueueLife>): (cell: string) => boolean {
  return (cell) => cell.startsWith("config/") || queues.has(Number(cell.split("/")[1]));
}

function checkCell(facts: Facts, name: string, found: string): void {
  const { value, pending } = facts.cells.get(name) ?? { value: "", pending: [] };
  assert.ok([value, ...pending].includes(found), `${name} is "${found}", and was "${value}" or ${pending.join(", ")}`);
}

async function checkUses(
  { operations }: Broker,
  facts: Facts,
  queue: QueueLife,
  sent: ReadonlyMap<Tag, SentMessage>,
): Promise<number> {
  const { uses } = valueOf(await operations.listIdempotencyKeys(queue.name, undefined, 1_000));
  const found = new Map(uses.map(({ key, messageId }) => [cells.use(queue, key), messageId]));
  const names = [...facts.cells.keys()].filter((name) => name.startsWith(cells.use(queue, "")));
  for (const name of new Set([...names, ...found.keys()])) {
    const id = found.get(name);
    const tags = [facts.cells.get(name)?.value, ...(facts.cells.get(name)?.pending ?? [])];
    const ids = tags.map((tag) => (tag === undefined || tag === "" ? undefined : sent.get(Number(tag))?.id));
    assert.ok(ids.includes(id), `${name} was used for ${id}, and not for ${ids.join(", ")}`);
  }
  return found.size;
}

/** Takes back what keeps messages from being delivered. */
export async function resumeAll({ operations }: Broker, queues: readonly string[]): Promise<void> {
  for (const name of queues) {
    const { settings, keys } = valueOf(await operations.describeQueue(name, 100));
    if (settings.paused) valueOf(await operations.updateQueue(name, { paused: false }));
    for (const { key } of keys) valueOf(await operations.setKey(name, key, { paused: false, maxInFlight: 0 }));
  }
}
