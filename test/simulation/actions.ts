// What producers, workers and operators do, at random. Commands are built by functions, never by spreading one object
// over another: a spread that hides a field makes a simulation in which nothing happens and every check passes.
import type {
  Command,
  ConsumerKind,
  EnqueueItem,
  IdempotencyKey,
  LeaseToken,
  OpenConsumer,
  SettleAction,
  SettleItem,
} from "../../server/src/core/commands.ts";
import { defaultQueueSettings } from "../../server/src/core/queue-settings.ts";
import { type MessageId, parseMessageId } from "../../server/src/core/message-id.ts";
import type { Held, Stream } from "./clients.ts";
import { drawChange, drawKey, drawSettings, drawTimes, idempotencyKeys } from "./drawn.ts";
import { expect } from "./failure.ts";
import { maxCost } from "./fair-shares.ts";
import type { World } from "./world.ts";

const queueNames = ["q0", "q1", "q2"] as const;
const deadLetterNames = ["q0.dlq", "q1.dlq", "q2.dlq"] as const;
const sessions = ["", "s0", "s1", "s2"] as const;
const throttles: readonly (readonly string[])[] = [[], [], [], ["t0"], ["t1"], ["t0", "t1"], ["t0", "t2"]];
const kinds: readonly ConsumerKind[] = ["stream", "stream", "stream", "consume", "consume", "poll"];
/** Of 100 settlements. */
const settlements: readonly (readonly [SettleAction, number])[] = [
  ["ack", 60],
  ["nack", 14],
  ["release", 12],
  ["extend", 14],
];
const mostStreams = 9;
/** Messages that can be delivered, and all of them. */
const deepest = 90;
const deepestWaiting = 220;
const largeBody = Buffer.alloc(300_000, 0x5a);

export class Actions {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    for (const name of queueNames) this.#createQueue(name);
  }

  #number(): number {
    return this.#world.number();
  }

  #send(command: Command): void {
    this.#world.mailbox.push(command);
  }

  /** One thing happens. */
  act(): void {
    this.#world.hooks.answer();
    const choice = this.#world.random.below(1_000);
    if (choice < 230) this.#enqueue();
    else if (choice < 620) this.#settle();
    else if (choice < 700) this.#credit();
    else if (choice < 800) this.#written();
    else if (choice < 840) this.#open();
    else if (choice < 865) this.#close();
    else if (choice < 965) this.#world.passTime();
    else if (choice < 980) this.#world.operators.act();
    else this.#rarely();
  }

  #rarely(): void {
    const { random, model } = this.#world;
    const request = this.#number();
    const choice = random.below(20);
    const name = random.oneIn(3) ? random.pick(deadLetterNames) : random.pick(queueNames);
    if (choice < 3) this.#send({ type: "queue-stats", request, name, topKeys: random.below(4) });
    else if (choice < 4) this.#send({ type: "list-queues", request, after: "", limit: 100 });
    else if (choice < 6) this.#stopStream();
    else if (choice < 7) this.#disconnect();
    else if (choice < 9) {
      this.#send({ type: "delete-queue", request, name });
      if (random.oneIn(2)) this.#createQueue(name);
    } else if (choice < 14) this.#createQueue(name);
    else if (choice < 16) this.#send({ type: "update-queue", request, name, settings: drawChange(random) });
    else if (choice < 17) {
      const queue = model.queuesByName.get(name);
      if (queue === undefined) return;
      this.#world.coverage.quarantined += 1;
      this.#send({ type: "quarantine", queueNumber: queue.number, sequence: random.below(queue.nextSequence + 1) });
    }
  }

  #createQueue(name: string): void {
    const settings = { ...defaultQueueSettings, ...drawSettings(this.#world.random) };
    this.#send({ type: "create-queue", request: this.#number(), name, settings });
  }

  #enqueue(): void {
    const { random, model } = this.#world;
    if (model.depth - model.waiting.size > deepest || model.depth > deepestWaiting) return;
    const items = Array.from({ length: random.oneIn(30) ? 30 : random.between(1, 5) }, () => this.#item());
    this.#send({ type: "enqueue", request: this.#number(), items });
  }

  #item(): EnqueueItem {
    const { random } = this.#world;
    const queue = random.oneIn(40) ? random.pick(deadLetterNames) : random.pick(queueNames);
    const fairnessKey = drawKey(random);
    const weight = random.oneIn(25) ? random.between(1, 8) : 0;
    const cost = random.oneIn(4) ? random.between(1, maxCost) : 1;
    const throttleKeys = random.pick(throttles);
    const { delayMs, deliverAt, ttlMs } = drawTimes(random, this.#world.wall);
    const idempotencyKey = random.oneIn(8) ? random.pick(idempotencyKeys) : undefined;
    const body = this.#body();
    return { queue, fairnessKey, weight, cost, throttleKeys, delayMs, deliverAt, ttlMs, idempotencyKey, body };
  }

  enqueueWith(queue: string, idempotencyKey: IdempotencyKey): void {
    const [fairnessKey, body] = [drawKey(this.#world.random), this.#body()];
    const item = { queue, fairnessKey, weight: 0, cost: 1, throttleKeys: [], idempotencyKey, body };
    this.#send({ type: "enqueue", request: this.#number(), items: [item] });
  }

  /** No two alike. */
  #body(): Uint8Array {
    const { random } = this.#world;
    const body = random.oneIn(2_000) ? Buffer.from(largeBody) : Buffer.alloc(8 + random.below(40));
    body.writeUInt32LE(this.#number());
    return body;
  }

  #settle(): void {
    const { random, clients } = this.#world;
    const { held } = clients;
    if (held.length === 0) return;
    const first = this.#pickHeld();
    const items = [this.#settlement(first)];
    for (let more = random.below(5); more > 0; more -= 1) {
      const next = held[random.below(held.length)];
      if (next?.queue === first.queue && next.principal === first.principal) items.push(this.#settlement(next));
    }
    const connection = this.#connectionOf(first);
    const principal = random.oneIn(200) ? "other" : first.principal;
    this.#send({ type: "settle", request: this.#number(), queue: first.queue, connection, principal, items });
  }

  #pickHeld(): Held {
    const { random, clients } = this.#world;
    const { held } = clients;
    // Workers finish what came first, more or less; now and then one comes back to something old.
    return held[random.oneIn(5) ? random.below(held.length) : random.below(Math.min(10, held.length))] as Held;
  }

  #connectionOf(held: Held): number {
    for (const stream of this.#world.clients.streams.values()) {
      if (stream.connection === held.connection) return held.connection;
    }
    return this.#number();
  }

  #settlement(held: Held): SettleItem {
    const { random, clients } = this.#world;
    const { id, kind, token } = held;
    let rest = random.below(100);
    const [action] = settlements.find(([, share]) => (rest -= share) < 0) as readonly [SettleAction, number];
    const final = action !== "extend";
    // Some answers get lost, and the worker tries again.
    if (final && !random.oneIn(6)) clients.held.splice(clients.held.indexOf(held), 1);
    if (action === "ack") clients.ackSent(id);
    const extendMs = action === "extend" && random.oneIn(2) ? random.between(1, 9_000) : 0;
    const bare = kind === "consume" ? random.oneIn(2) : random.oneIn(100);
    const sent = bare ? undefined : random.oneIn(50) ? this.#wrongToken(token) : token;
    const error = action === "nack" ? `error ${random.below(100)}` : "";
    const delayMs = action === "nack" && random.oneIn(3) ? random.below(1_500) : undefined;
    const deadLetter = action === "nack" && random.oneIn(12);
    return { id, token: sent, action, error, delayMs, deadLetter, extendMs };
  }

  /** Half of it wrong, or another message's. */
  #wrongToken(token: LeaseToken): LeaseToken {
    const { random, model } = this.#world;
    const choice = random.below(3);
    if (choice === 0) return { high: random.word(), low: token.low };
    if (choice === 1) return { high: token.high, low: random.word() };
    return random.pick([...model.everLeased.values()].slice(-20)).token;
  }

  #stream(): Stream | undefined {
    const streams = [...this.#world.clients.streams.values()];
    return streams.length === 0 ? undefined : this.#world.random.pick(streams);
  }

  #credit(): void {
    const stream = this.#stream();
    if (stream === undefined || stream.kind === "poll") return;
    this.#send({ type: "credit", consumer: stream.consumer, messages: this.#world.random.between(1, 8) });
  }

  #stopStream(): void {
    const stream = this.#stream();
    if (stream?.kind !== "stream") return;
    this.#world.coverage.stops += 1;
    this.#send({ type: "stop", consumer: stream.consumer });
  }

  #written(): void {
    const stream = this.#stream();
    if (stream === undefined || stream.written === stream.received) return;
    const { random } = this.#world;
    stream.written = random.oneIn(4) ? random.between(stream.written, stream.received) : stream.received;
    this.#send({ type: "written", consumer: stream.consumer, ordinal: stream.written });
  }

  #open(): void {
    const { random, clients } = this.#world;
    if (clients.streams.size >= mostStreams) return;
    const kind = random.pick(kinds);
    const other = this.#stream();
    const connection = other !== undefined && random.oneIn(3) ? other.connection : this.#number();
    const principal = random.oneIn(8) ? "p1" : "p0";
    const session = kind === "stream" ? random.pick(sessions) : "";
    this.#openStream({
      type: "open",
      consumer: this.#number(),
      queue: random.oneIn(3) ? random.pick(deadLetterNames) : random.pick(queueNames),
      kind,
      connection,
      principal,
      worker: "w",
      session,
      visibilityMs: random.oneIn(3) ? random.between(1, 5) * 700 : 0,
      credit: kind === "poll" ? random.between(1, 6) : random.below(10),
    });
  }

  #openStream(open: OpenConsumer): void {
    const { consumer, queue, kind, connection, principal } = open;
    this.#world.clients.streams.set(consumer, {
      consumer,
      queue,
      kind,
      connection,
      principal,
      received: 0,
      written: 0,
    });
    this.#send(open);
  }

  #close(): void {
    const stream = this.#stream();
    if (stream !== undefined) this.#closeStream(stream);
  }

  #closeStream(stream: Stream): void {
    const { random, clients } = this.#world;
    clients.closed(stream, random);
    this.#send({ type: "close", consumer: stream.consumer, written: random.between(stream.written, stream.received) });
  }

  /** The transport reports the end of the connection before or after the end of its streams. */
  #disconnect(): void {
    const { random, clients } = this.#world;
    const connection = this.#stream()?.connection;
    if (connection === undefined) return;
    const early = random.oneIn(2);
    if (early) this.#send({ type: "disconnect", connection });
    for (const stream of [...clients.streams.values()]) if (stream.connection === connection) this.#closeStream(stream);
    if (!early) this.#send({ type: "disconnect", connection });
  }

  anythingLeft(): boolean {
    return this.left() > 0;
  }

  /** Messages that are not set aside. */
  left(): number {
    let left = 0;
    for (const { quarantined } of this.#world.model.messages.values()) if (!quarantined) left += 1;
    return left;
  }

  /** One round of workers that do their work. */
  async drainOnce(): Promise<void> {
    const { model, clients } = this.#world;
    // What came when there were tokens again.
    this.#ackDrained();
    await this.#world.settle();
    for (const stream of [...clients.streams.values()]) this.#closeStream(stream);
    for (const { name: queue } of model.queuesByNumber.values()) {
      const consumer = this.#number();
      const [connection, principal] = [this.#number(), "drain"];
      const rest = { kind: "stream", worker: "w", session: "", visibilityMs: 0, credit: 1_000 } as const;
      const { kind, worker, session, visibilityMs, credit } = rest;
      this.#openStream({
        type: "open",
        consumer,
        queue,
        kind,
        connection,
        principal,
        worker,
        session,
        visibilityMs,
        credit,
      });
    }
    await this.#world.settle();
    this.#ackDrained();
  }

  #ackDrained(): void {
    for (const held of this.#world.clients.held.splice(0)) {
      if (held.principal !== "drain") continue;
      this.#world.clients.ackSent(held.id);
      const { id, token, queue, connection, principal } = held;
      const items: SettleItem[] = [{ id, token, action: "ack", error: "", extendMs: 0 }];
      this.#send({ type: "settle", request: this.#number(), queue, connection, principal, items });
    }
  }

  /** What was answered OK and acked by nobody came again in the end, unless it was set aside. */
  checkNothingLost(): void {
    const { clients, model } = this.#world;
    for (const id of clients.relyOn()) {
      const { queueNumber, sequence } = parseMessageId(id) as MessageId;
      const message = model.find(queueNumber, sequence);
      expect(message?.quarantined === true, () => `message ${id} was answered OK and never came again`);
    }
  }
}
