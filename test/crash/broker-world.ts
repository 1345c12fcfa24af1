// A broker's life to crash: seeded producers and workers of several queues, and their operators, whose every question and
// answer is noted.
import assert from "node:assert/strict";
import type { Broker, Consumer, LoadedDelivery } from "../../server/src/broker/contract.ts";
import { Listener } from "../../server/src/broker/testing/listener.ts";
import type { EnqueueItem } from "../../server/src/core/commands.ts";
import { keyOf } from "../../server/src/broker/testing/broker-rig.ts";
import { Seeded } from "../faults/seeded.ts";
import { enqueue, poll, settle, who } from "./broker-calls.ts";
import { type BrokerNote, type NotedLease, type QueueLife, type Settling, type Tag, cells } from "./broker-notes.ts";
import { IDEMPOTENCY_KEYS, KEYS, type SentMessage, errorOf, tagOf } from "./sent-message.ts";
import { WorldOperators, queueValue } from "./world-operators.ts";

/** Leases outlive every trace. */
const VISIBILITY_MS = 12 * 3_600_000;
const QUEUE_NAMES = ["orders", "mails", "images", "letters"];
const HOUR_MS = 3_600_000;
/** No trace lasts so long. */
const DELAY_MS = HOUR_MS;
/** Longer than a trace, and shorter than what passes when an image is looked at. */
const TTL_MS = 6 * HOUR_MS;
/** Calls that wait for their answers at once. */
const UNDER_WAY = 6;

interface Stream {
  readonly queue: QueueLife;
  readonly session: string;
  readonly listener: Listener;
  readonly consumer: Consumer;
  /** Deliveries noted so far. */
  noted: number;
}

export class BrokerWorld {
  readonly sent = new Map<Tag, SentMessage>();
  readonly #random: Seeded;
  readonly #open: () => Promise<Broker>;
  readonly #note: (note: BrokerNote) => void;
  #broker!: Broker;
  readonly #queues: QueueLife[] = [];
  readonly #held = new Map<Tag, NotedLease>();
  readonly #operators: WorldOperators;
  #streams: Stream[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #nextTag = 1;
  #nextQueue = 1;
  #nextSession = 1;

  constructor(seed: number, open: () => Promise<Broker>, note: (note: BrokerNote) => void) {
    this.#random = new Seeded(seed);
    this.#open = open;
    this.#note = note;
    const { sent } = this;
    this.#operators = new WorldOperators(this.#random, note, { sent, held: this.#held, queues: this.#queues });
  }

  /** How often operators made each of their changes. */
  get operations(): Readonly<Record<string, number>> {
    return this.#operators.done;
  }

  async run(steps: number): Promise<void> {
    this.#broker = await this.#open();
    await this.#create("orders");
    await this.#create("mails");
    for (let step = 0; step < steps; step++) {
      await this.#step();
      if (this.#underWay.size >= UNDER_WAY || this.#random.chance(0.2)) await this.#answered();
    }
    await this.#answered();
    await this.#broker.stop(0);
  }

  async #step(): Promise<void> {
    const draw = this.#random.fraction();
    if (draw < 0.42) this.#begin(this.#enqueue());
    else if (draw < 0.6) this.#begin(this.#poll());
    else if (draw < 0.82) this.#begin(this.#settle());
    else if (draw < 0.9) this.#credit();
    else if (draw < 0.92) await this.#openOrCloseStream();
    else if (draw < 0.96) await this.#operate();
    else if (draw < 0.985) await this.#createOrDelete();
    else await this.#reopen();
  }

  #begin(call: Promise<void>): void {
    const answered = call.finally(() => this.#underWay.delete(answered));
    this.#underWay.add(answered);
  }

  async #answered(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #enqueue(): Promise<void> {
    const random = this.#random;
    const large = random.chance(0.1);
    const messages = Array.from({ length: large ? 1 : random.between(1, 25) }, () =>
      this.#message(large ? random.between(20_000, 150_000) : random.between(4, random.pick([20, 300, 1_500]))),
    );
    const tags = messages.map(({ tag }) => tag);
    const items: EnqueueItem[] = messages.map(({ queue, fairnessKey, body, delayMs, ttlMs, idempotencyKey }) => ({
      ...{ queue: queue.name, fairnessKey, body },
      ...(delayMs > 0 && random.chance(0.3) ? { deliverAt: Date.now() + delayMs } : { delayMs }),
      ...(ttlMs > 0 ? { ttlMs } : {}),
      ...(idempotencyKey === "" ? {} : { idempotencyKey: keyOf(idempotencyKey) }),
      ...{ weight: random.chance(0.1) ? random.between(1, 5) : 0, cost: random.between(1, 3), throttleKeys: [] },
    }));
    this.#note({ kind: "enqueue", tags });
    const keyed = messages.filter(({ idempotencyKey }) => idempotencyKey !== "");
    for (const message of keyed) this.#noteUse("write", message);
    const outcomes = await enqueue(this.#broker, items);
    for (const [at, outcome] of outcomes.entries()) {
      const message = messages[at]!;
      if (typeof outcome === "string") message.id = outcome;
      else assert.ok("duplicateOf" in outcome && keyed.includes(message), JSON.stringify(outcome));
    }
    for (const message of keyed) this.#noteUse(message.id === "" ? "unwritten" : "written", message);
    this.#note({ kind: "enqueued", tags: messages.filter(({ id }) => id !== "").map(({ tag }) => tag) });
    this.#operators.remove(messages.filter(({ id }) => id === "").map(({ tag }) => tag));
  }

  #noteUse(kind: "write" | "written" | "unwritten", { queue, idempotencyKey, tag }: SentMessage): void {
    this.#note({ kind, cell: cells.use(queue, idempotencyKey), value: String(tag) });
  }

  #message(bytes: number): SentMessage {
    const body = Buffer.from(this.#random.bytes(Math.min(bytes, 61)));
    const full = new Uint8Array(Buffer.alloc(bytes, body));
    const tag = this.#nextTag++;
    new DataView(full.buffer).setUint32(0, tag);
    const random = this.#random;
    const message = {
      ...{ tag, queue: random.pick(this.#queues), fairnessKey: random.pick(KEYS), body: full, id: "" },
      delayMs: random.chance(0.05) ? DELAY_MS : 0,
      ttlMs: random.chance(0.1) ? TTL_MS : 0,
      idempotencyKey: random.chance(0.05) ? random.pick(IDEMPOTENCY_KEYS) : "",
    };
    this.sent.set(tag, message);
    return message;
  }

  async #poll(): Promise<void> {
    const queue = this.#random.pick(this.#queues);
    const deliveries = await poll(this.#broker, queue.name, this.#random.between(1, 20), VISIBILITY_MS);
    this.#delivered(deliveries, "");
  }

  #delivered(deliveries: readonly LoadedDelivery[], session: string): void {
    // What an operator has removed may have been on its way.
    const there = deliveries.filter(({ body }) => !this.#operators.gone.has(tagOf(body)));
    if (there.length === 0) return;
    const leases = there.map(({ id, body, token, attempts }) => {
      const tag = tagOf(body);
      assert.deepEqual(
        Buffer.from(body),
        Buffer.from(this.sent.get(tag)?.body ?? []),
        "the live broker gives what it got",
      );
      return { tag, id, token, attempts, session };
    });
    this.#note({ kind: "delivered", leases });
    for (const lease of leases) this.#held.set(lease.tag, lease);
  }

  async #settle(): Promise<void> {
    this.#noteStreams();
    const random = this.#random;
    const how: Settling = this.#settling();
    const queue = random.pick(this.#queues);
    const chosen = [...this.#held.values()]
      .filter(({ tag }) => this.sent.get(tag)?.queue === queue)
      // What ends by time and what ends by its worker is told apart afterwards.
      .filter(({ tag }) => how !== "dead-letter" || this.sent.get(tag)?.ttlMs === 0)
      .slice(0, random.between(1, 15));
    if (chosen.length === 0) return;
    const tags = chosen.map(({ tag }) => tag);
    for (const tag of tags) this.#held.delete(tag);
    this.#note({ kind: "settle", how, tags });
    const delay = how === "nack" && random.chance(0.2) ? { delayMs: DELAY_MS } : {};
    const dead = how === "dead-letter" ? { action: "nack" as const, deadLetter: true } : { action: how };
    const items = chosen.map(({ id, token, tag }) => {
      return { id, token, error: errorOf(tag), extendMs: 0, ...dead, ...delay };
    });
    const outcomes = await settle(this.#broker, queue.name, items);
    for (const outcome of outcomes) assert.equal(typeof outcome === "object", false, JSON.stringify(outcome));
    this.#note({ kind: "settled", how, tags });
    if (how === "ack") this.#operators.acked(tags);
    if (how === "dead-letter") this.#operators.died(tags);
    if (how === "extend") for (const lease of chosen) this.#held.set(lease.tag, lease);
  }

  #settling(): Settling {
    const draw = this.#random.fraction();
    if (draw < 0.62) return "ack";
    if (draw < 0.75) return "nack";
    if (draw < 0.83) return "release";
    return draw < 0.88 ? "extend" : "dead-letter";
  }

  async #operate(): Promise<void> {
    await this.#answered();
    this.#noteStreams();
    for (let times = this.#random.between(1, 5); times > 0; times -= 1) await this.#operators.step(this.#broker);
    this.#noteStreams();
  }

  #credit(): void {
    if (this.#streams.length === 0) return;
    this.#random.pick(this.#streams).consumer.credit(this.#random.between(1, 15));
    this.#noteStreams();
  }

  #noteStreams(): void {
    for (const stream of this.#streams) {
      const fresh = stream.listener.deliveries.slice(stream.noted);
      stream.noted += fresh.length;
      this.#delivered(fresh, stream.session);
      const last = fresh.at(-1);
      if (last !== undefined) stream.consumer.written(last.ordinal);
    }
  }

  async #openOrCloseStream(): Promise<void> {
    if (this.#streams.length < 2) {
      const session = `session ${this.#nextSession++}`;
      this.#streams.push(await this.#stream(this.#random.pick(this.#queues), session, 10));
      return;
    }
    // Settlements under way of what it holds would make it unclear what ended what.
    await this.#answered();
    this.#noteStreams();
    const [stream] = this.#streams.splice(this.#random.between(0, this.#streams.length - 1), 1);
    const mine = [...this.#held.values()].filter(({ session }) => session === stream!.session);
    this.#note({ kind: "close", tags: mine.map(({ tag }) => tag) });
    for (const { tag } of mine) this.#held.delete(tag);
    const { deliveries } = stream!.listener;
    const written = this.#random.chance(0.5) ? deliveries.at(-1) : deliveries.at(-3);
    stream!.consumer.close(written?.ordinal ?? 0);
  }

  async #stream(queue: QueueLife, session: string, credit: number): Promise<Stream> {
    const listener = new Listener();
    const options = {
      queue: queue.name,
      kind: "stream",
      ...who,
      worker: "",
      session,
      visibilityMs: VISIBILITY_MS,
    } as const;
    const consumer = this.#broker.openConsumer({ ...options, credit }, listener);
    await listener.until((told) => told.isOpen);
    return { queue, session, listener, consumer, noted: 0 };
  }

  async #createOrDelete(): Promise<void> {
    await this.#answered();
    this.#noteStreams();
    const free = QUEUE_NAMES.filter((name) => !this.#queues.some((queue) => queue.name === name));
    if (free.length > 0 && (this.#queues.length < 3 || this.#random.chance(0.5))) {
      await this.#create(this.#random.pick(free));
      return;
    }
    const [queue] = this.#queues.splice(this.#random.between(0, this.#queues.length - 1), 1);
    for (const { tag } of [...this.#held.values()]) if (this.sent.get(tag)?.queue === queue) this.#held.delete(tag);
    this.#streams = this.#streams.filter((stream) => stream.queue !== queue);
    this.#note({ kind: "delete", queue: queue! });
    assert.ok((await this.#broker.deleteQueue(queue!.name)).ok);
    this.#note({ kind: "deleted", queue: queue! });
  }

  async #create(name: string): Promise<void> {
    const expiredTo = this.#random.pick(["drop", "dead-letter"] as const);
    const queue = { number: this.#nextQueue++, name, expiredTo };
    const maxBackoffMs = this.#random.between(1_000, 9_000);
    const cell = { cell: cells.queue(queue), value: queueValue({ paused: false, maxBackoffMs }) };
    this.#note({ kind: "create", queue });
    this.#note({ kind: "write", ...cell });
    const times = { visibilityMs: VISIBILITY_MS, initialBackoffMs: 0, dedupWindowMs: VISIBILITY_MS };
    const settings = { ...times, maxAttempts: 0, expiredTo, maxBackoffMs };
    assert.deepEqual(await this.#broker.createQueue(name, settings), { ok: true, value: undefined });
    this.#note({ kind: "written", ...cell });
    this.#note({ kind: "created", queue });
    this.#queues.push(queue);
  }

  async #reopen(): Promise<void> {
    await this.#answered();
    this.#noteStreams();
    await this.#broker.stop(0);
    this.#noteStreams();
    this.#broker = await this.#open();
    // The streams come back under their names, and hold what they held.
    this.#streams = await Promise.all(this.#streams.map(({ queue, session }) => this.#stream(queue, session, 0)));
  }
}
