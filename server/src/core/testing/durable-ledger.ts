// What a store must remember of the core, kept at the level of mutations: the simplest possible store. It shows what any
// store has to rebuild, and `durableFacts` of a core must always equal `facts` of a ledger that saw all its mutations.
import type { Core } from "../core.ts";
import { MessageState, type NewMessage } from "../message-table.ts";
import type { EnqueuedMutation, KeyUsedMutation, LaneFacts, MovedMutation, Mutation, Waiting } from "../mutations.ts";
import type { ConfigChange } from "../runtime-config.ts";
import type { KeyOverride } from "../queue.ts";
import type { QueueSettings } from "../queue-settings.ts";
import { Restorer, type StoredLease } from "../restore.ts";
import type { AttemptEnd } from "../retry-policy.ts";
import type { Now } from "../turn.ts";

interface StoredMessage {
  /** Of the queue that it was enqueued to: its name. */
  readonly queueNumber: number;
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly cost: number;
  readonly length: number;
  lane: LaneFacts;
  waiting: Waiting;
  readyAt: number;
  expiresAt: number;
  attempts: number;
  firstFailedAt: number;
  quarantined: boolean;
  lease: StoredLease | undefined;
  deciding: AttemptEnd | undefined;
}

interface StoredQueue {
  readonly name: string;
  settings: QueueSettings;
  deadLetters: number;
  readonly madeFor: number;
  nextSequence: number;
  readonly weights: Map<string, number>;
  readonly overrides: Map<string, KeyOverride>;
  /** Of idempotency keys, oldest first. */
  readonly uses: { readonly use: KeyUsedMutation; released: boolean }[];
}

type Moved = Exclude<
  Mutation,
  { type: "enqueued" | "removed" | "purged" | "dropped" | "weighed" | "forgotten" | "config-set" } | QueueMutation
>;
type QueueMutation = Extract<
  Mutation,
  {
    type:
      "queue-created" | "queue-updated" | "queue-deleted" | "key-set" | "key-used" | "key-released" | "keys-forgotten";
  }
>;

export class DurableLedger {
  readonly #queues = new Map<number, StoredQueue>();
  readonly #messages = new Map<string, StoredMessage>();
  readonly #config: ConfigChange[] = [];
  #nextQueueNumber = 1;

  /** @param wall clock of the turn */
  apply(mutations: readonly Mutation[], wall: number): void {
    for (const mutation of mutations) this.#applyOne(mutation, wall);
  }

  #applyOne(mutation: Mutation, wall: number): void {
    switch (mutation.type) {
      case "queue-created":
      case "queue-updated":
      case "queue-deleted":
      case "key-set":
      case "key-used":
      case "key-released":
      case "keys-forgotten":
        this.#applyToQueue(mutation);
        return;
      case "dropped":
        return;
      case "config-set":
        this.#config.push(mutation);
        return;
      case "enqueued":
        this.#enqueued(mutation);
        return;
      case "weighed":
        this.#queues.get(mutation.queueNumber)?.weights.set(mutation.fairnessKey, mutation.weight);
        return;
      case "forgotten":
        this.#queues.get(mutation.queueNumber)?.weights.delete(mutation.fairnessKey);
        return;
      case "removed":
        this.#removed(mutation);
        return;
      case "purged":
        for (let { sequence } = mutation; sequence <= mutation.last; sequence += 1) {
          this.#removed({ queueNumber: mutation.queueNumber, sequence });
        }
        return;
      default:
        this.#changed(mutation, wall);
    }
  }

  #removed(name: { readonly queueNumber: number; readonly sequence: number }): void {
    this.#messageOf(name);
    this.#messages.delete(nameOf(name));
  }

  #applyToQueue(mutation: QueueMutation): void {
    const { queueNumber } = mutation;
    if (mutation.type === "queue-deleted") {
      this.#queues.delete(queueNumber);
      return;
    }
    if (mutation.type === "key-set") {
      const { fairnessKey, override } = mutation;
      if (override === undefined) this.#queues.get(queueNumber)?.overrides.delete(fairnessKey);
      else this.#queues.get(queueNumber)?.overrides.set(fairnessKey, override);
      return;
    }
    const known = this.#queues.get(queueNumber);
    if (mutation.type === "key-used") {
      known?.uses.push({ use: mutation, released: false });
      return;
    }
    if (mutation.type === "key-released") {
      const { b } = mutation.key;
      const last = known?.uses.findLast(({ use }) => use.key.b === b);
      if (last !== undefined) last.released = true;
      return;
    }
    if (mutation.type === "keys-forgotten") {
      known?.uses.splice(0, mutation.count);
      return;
    }
    const { name, settings, deadLetters, madeFor } = mutation;
    if (known !== undefined) Object.assign(known, { settings, deadLetters });
    else
      this.#queues.set(queueNumber, {
        name,
        settings,
        deadLetters,
        madeFor,
        nextSequence: 1,
        weights: new Map(),
        overrides: new Map(),
        uses: [],
      });
    this.#nextQueueNumber = Math.max(this.#nextQueueNumber, queueNumber + 1);
  }

  #changed(mutation: Moved, wall: number): void {
    const message = this.#messageOf(mutation);
    message.lease = undefined;
    message.deciding = undefined;
    const counted = mutation.type === "deciding" || (mutation.type === "returned" && mutation.counted);
    if (counted) {
      message.attempts += 1;
      if (message.attempts === 1) message.firstFailedAt = wall;
    }
    if (mutation.type === "quarantined") message.quarantined = true;
    else if (mutation.type === "leased") message.lease = mutation;
    else if (mutation.type === "deciding") message.deciding = mutation.end;
    else if (mutation.type === "moved") this.#moved(message, mutation);
    else {
      message.readyAt = mutation.readyAt;
      message.waiting = mutation.waiting;
    }
  }

  #moved(message: StoredMessage, { lane, readyAt, expiresAt, attempts, quarantined }: MovedMutation): void {
    const { queueNumber, fairnessKey, throttleKeys } = lane;
    message.lane = { queueNumber, fairnessKey, throttleKeys };
    Object.assign(message, { readyAt, expiresAt, attempts, quarantined, waiting: "ready", firstFailedAt: 0 });
  }

  #enqueued(mutation: EnqueuedMutation): void {
    const { lane, sequence, enqueuedAt, readyAt, waiting, expiresAt, cost, body } = mutation;
    const queue = this.#queues.get(lane.queueNumber);
    if (queue === undefined) throw new Error("enqueued to a queue that is not there");
    if (sequence !== queue.nextSequence) throw new Error("sequences count without a gap");
    queue.nextSequence += 1;
    const { queueNumber, fairnessKey, throttleKeys } = lane;
    this.#messages.set(nameOf({ queueNumber, sequence }), {
      lane: { queueNumber, fairnessKey, throttleKeys },
      queueNumber,
      sequence,
      enqueuedAt,
      readyAt,
      waiting,
      expiresAt,
      cost,
      length: body.byteLength,
      attempts: 0,
      firstFailedAt: 0,
      quarantined: false,
      lease: undefined,
      deciding: undefined,
    });
  }

  #messageOf(where: { readonly queueNumber: number; readonly sequence: number }): StoredMessage {
    const message = this.#messages.get(nameOf(where));
    if (message === undefined) throw new Error("a mutation names a message that is not there");
    return message;
  }

  restore(core: Core, now: Now): void {
    const restorer = new Restorer(core);
    for (const change of this.#config) {
      core.state.config.restoreValue(change.key, change.value);
      core.state.config.restoreChange(change);
    }
    for (const [number, queue] of this.#queues) {
      restorer.queue(number, queue.name, queue.settings, queue.deadLetters, queue.madeFor);
      restorer.nextSequence(number, queue.nextSequence);
      restorer.keysUsed(
        number,
        queue.uses.map(({ use }) => use),
      );
      for (const { use, released } of queue.uses) if (released) restorer.keyReleased(number, use.key);
      for (const [key, override] of queue.overrides) restorer.override(number, key, override);
    }
    // Backwards, since no store promises that messages come in order.
    for (const message of this.#living().reverse()) {
      const slot = restorer.message(message.lane, restorable(message));
      restorer.expiresAt(slot, message.expiresAt);
      restorer.firstFailedAt(slot, message.firstFailedAt);
      if (message.quarantined) restorer.quarantined(slot);
      else if (message.lease !== undefined) restorer.leased(slot, message.lease);
      else if (message.deciding !== undefined) restorer.deciding(slot, message.deciding);
      else restorer.waits(slot, message.readyAt, message.waiting);
    }
    for (const [number, queue] of this.#queues) {
      for (const [key, weight] of queue.weights) restorer.weight(number, key, weight);
    }
    core.state.nextQueueNumber = this.#nextQueueNumber;
    restorer.finish(now);
  }

  /** Those of queues that exist. */
  #living(): StoredMessage[] {
    return [...this.#messages.values()].filter(({ lane }) => this.#queues.has(lane.queueNumber));
  }

  /** One line per fact, sorted. @param wall what was due by then is ready */
  facts(wall: number): string[] {
    const lines = [`next queue ${this.#nextQueueNumber}`];
    for (const [number, { name, settings, deadLetters, nextSequence, weights, overrides }] of this.#queues) {
      lines.push(queueLine(number, name, settings, deadLetters, nextSequence));
      for (const [key, weight] of weights) lines.push(`weight ${number} ${key} ${weight}`);
      for (const [key, override] of overrides) lines.push(overrideLine(number, key, override));
    }
    for (const message of this.#living()) {
      lines.push(messageLine(message.lane, { ...message, state: stateOf(message, wall) }, message.lease));
    }
    return lines.sort();
  }
}

function nameOf({ queueNumber, sequence }: { readonly queueNumber: number; readonly sequence: number }): string {
  return `${queueNumber}:${sequence}`;
}

function stateOf(message: StoredMessage, wall: number): number {
  if (message.quarantined) return MessageState.quarantined;
  if (message.lease !== undefined) return MessageState.leased;
  if (message.deciding !== undefined) return MessageState.deciding;
  return message.waiting === "ready" || message.readyAt <= wall ? MessageState.ready : MessageState[message.waiting];
}

function restorable(message: StoredMessage): NewMessage {
  const { queueNumber, sequence, enqueuedAt, readyAt, attempts, cost, length } = message;
  return { queueNumber, sequence, enqueuedAt, readyAt, attempts, cost, length, record: 0, offset: 0, page: 0 };
}

/** All that a core holds and a store must bring back, as `DurableLedger.facts` writes it. */
export function durableFacts(core: Core): string[] {
  const { state } = core;
  const { table } = state;
  const lines = [`next queue ${state.nextQueueNumber}`];
  for (const queue of state.queuesByName.values()) {
    lines.push(queueLine(queue.number, queue.name, queue.settings, queue.deadLetters, queue.nextSequence));
    for (const [key, override] of queue.overrides) lines.push(overrideLine(queue.number, key, override));
    for (const key of queue.keys.values()) {
      if (key.weighed) lines.push(`weight ${queue.number} ${key.name} ${key.ownWeight}`);
    }
  }
  for (const slot of table.slots()) {
    const lane = state.laneOf(slot);
    if (lane.key.queue.dead) continue;
    const facts = {
      queueNumber: table.queueNumber(slot),
      sequence: table.sequence(slot),
      enqueuedAt: table.enqueuedAt(slot),
      readyAt: core.storedReadyAt(slot),
      expiresAt: core.storedExpiresAt(slot),
      firstFailedAt: table.firstFailedAt(slot),
      attempts: table.attempts(slot),
      cost: table.cost(slot),
      length: table.length(slot),
      state: table.state(slot),
    };
    lines.push(messageLine(lane, facts, state.leases.get(slot)));
  }
  return lines.sort();
}

function queueLine(number: number, name: string, settings: QueueSettings, deadLetters: number, next: number): string {
  return `queue ${number} ${name} ${JSON.stringify(settings)} dead letters ${deadLetters} next ${next}`;
}

function overrideLine(number: number, key: string, { weight, paused }: KeyOverride): string {
  return `override ${number} ${key} weight ${weight} paused ${paused}`;
}

interface MessageFacts {
  readonly queueNumber: number;
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly readyAt: number;
  readonly expiresAt: number;
  readonly firstFailedAt: number;
  readonly attempts: number;
  readonly cost: number;
  readonly length: number;
  readonly state: number;
}

function messageLine(lane: LaneFacts, facts: MessageFacts, lease: StoredLease | undefined): string {
  const { enqueuedAt, readyAt, expiresAt, firstFailedAt, attempts, cost, length, state } = facts;
  const place = `${nameOf(facts)} in ${lane.queueNumber} ${lane.fairnessKey} [${lane.throttleKeys.join()}]`;
  const held = lease === undefined ? "" : ` ${leaseText(lease)}`;
  const times = `enqueued ${enqueuedAt} ready ${readyAt} expires ${expiresAt} failed ${firstFailedAt}`;
  return `message ${place} ${times} attempts ${attempts} cost ${cost} length ${length} state ${state}${held}`;
}

function leaseText(lease: StoredLease): string {
  const { token, durationMs, leasedAt, holder } = lease;
  return `token ${token.high}.${token.low} for ${durationMs} since ${leasedAt} by ${holder.kind} ${holder.principal} ${holder.worker} ${holder.session}`;
}
