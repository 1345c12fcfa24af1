// What a store must remember of the core, kept at the level of mutations: the simplest possible store. It shows what any
// store has to rebuild, and `durableFacts` of a core must always equal `facts` of a ledger that saw all its mutations.
import type { Core } from "../core.ts";
import { MessageState, type NewMessage } from "../message-table.ts";
import type { EnqueuedMutation, LaneFacts, Mutation } from "../mutations.ts";
import { Restorer, type StoredLease } from "../restore.ts";
import type { Now } from "../turn.ts";

interface StoredMessage {
  readonly lane: LaneFacts;
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly cost: number;
  readonly length: number;
  readyAt: number;
  attempts: number;
  quarantined: boolean;
  lease: StoredLease | undefined;
}

interface StoredQueue {
  readonly name: string;
  readonly visibilityMs: number;
  nextSequence: number;
  readonly messages: Map<number, StoredMessage>;
  readonly weights: Map<string, number>;
}

export class DurableLedger {
  readonly #queues = new Map<number, StoredQueue>();
  #nextQueueNumber = 1;

  apply(mutations: readonly Mutation[]): void {
    for (const mutation of mutations) this.#applyOne(mutation);
  }

  #applyOne(mutation: Mutation): void {
    switch (mutation.type) {
      case "queue-created": {
        const { name, visibilityMs, queueNumber } = mutation;
        this.#queues.set(queueNumber, { name, visibilityMs, nextSequence: 1, messages: new Map(), weights: new Map() });
        this.#nextQueueNumber = queueNumber + 1;
        return;
      }
      case "queue-deleted":
        this.#queues.delete(mutation.queueNumber);
        return;
      case "dropped":
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
        this.#messageOf(mutation);
        this.#queues.get(mutation.queueNumber)?.messages.delete(mutation.sequence);
        return;
      default: {
        const message = this.#messageOf(mutation);
        message.lease = undefined;
        if (mutation.type === "quarantined") message.quarantined = true;
        else if (mutation.type === "leased") message.lease = mutation;
        else {
          message.readyAt = mutation.readyAt;
          if (mutation.counted) message.attempts += 1;
        }
      }
    }
  }

  #enqueued(mutation: EnqueuedMutation): void {
    const { lane, sequence, enqueuedAt, readyAt, cost, body } = mutation;
    const queue = this.#queues.get(lane.queueNumber);
    if (queue === undefined) throw new Error("enqueued to a queue that is not there");
    if (sequence !== queue.nextSequence) throw new Error("sequences count without a gap");
    queue.nextSequence += 1;
    const { queueNumber, fairnessKey, throttleKeys } = lane;
    queue.messages.set(sequence, {
      lane: { queueNumber, fairnessKey, throttleKeys },
      sequence,
      enqueuedAt,
      readyAt,
      cost,
      length: body.byteLength,
      attempts: 0,
      quarantined: false,
      lease: undefined,
    });
  }

  #messageOf(where: { readonly queueNumber: number; readonly sequence: number }): StoredMessage {
    const message = this.#queues.get(where.queueNumber)?.messages.get(where.sequence);
    if (message === undefined) throw new Error("a mutation names a message that is not there");
    return message;
  }

  restore(core: Core, now: Now): void {
    const restorer = new Restorer(core);
    for (const [number, queue] of this.#queues) {
      restorer.queue(number, queue.name, queue.visibilityMs);
      restorer.nextSequence(number, queue.nextSequence);
      // Backwards, since no store promises that messages come in order.
      for (const message of [...queue.messages.values()].reverse()) {
        const slot = restorer.message(message.lane, restorable(message));
        if (slot === undefined) throw new Error("the message's queue is there");
        if (message.lease !== undefined) restorer.leased(slot, message.lease);
        if (message.quarantined) restorer.quarantined(slot);
      }
      for (const [key, weight] of queue.weights) restorer.weight(number, key, weight);
    }
    core.state.nextQueueNumber = this.#nextQueueNumber;
    restorer.finish(now);
  }

  /** One line per fact, sorted. */
  facts(): string[] {
    const lines = [`next queue ${this.#nextQueueNumber}`];
    for (const [number, queue] of this.#queues) {
      lines.push(`queue ${number} ${queue.name} ${queue.visibilityMs} next ${queue.nextSequence}`);
      for (const [key, weight] of queue.weights) lines.push(`weight ${number} ${key} ${weight}`);
      for (const message of queue.messages.values()) {
        const state = message.quarantined
          ? MessageState.quarantined
          : message.lease
            ? MessageState.leased
            : MessageState.ready;
        lines.push(messageLine(message.lane, restorable(message), state, message.lease));
      }
    }
    return lines.sort();
  }
}

function restorable(message: StoredMessage): NewMessage {
  const { sequence, enqueuedAt, readyAt, attempts, cost, length } = message;
  return { sequence, enqueuedAt, readyAt, attempts, cost, length, record: 0, offset: 0, page: 0 };
}

/** All that a core holds and a store must bring back, as `DurableLedger.facts` writes it. */
export function durableFacts(core: Core): string[] {
  const { state } = core;
  const { table } = state;
  const lines = [`next queue ${state.nextQueueNumber}`];
  for (const queue of state.queuesByName.values()) {
    lines.push(`queue ${queue.number} ${queue.name} ${queue.visibilityMs} next ${queue.nextSequence}`);
    for (const key of queue.keys.values()) {
      if (key.weighed) lines.push(`weight ${queue.number} ${key.name} ${key.weight}`);
    }
  }
  for (const slot of table.slots()) {
    const lane = state.laneOf(slot);
    if (lane.key.queue.dead) continue;
    const facts = {
      sequence: table.sequence(slot),
      enqueuedAt: table.enqueuedAt(slot),
      readyAt: table.readyAt(slot),
      attempts: table.attempts(slot),
      cost: table.cost(slot),
      length: table.length(slot),
    };
    lines.push(messageLine(lane, facts, table.state(slot), state.leases.get(slot)));
  }
  return lines.sort();
}

function messageLine(
  lane: LaneFacts,
  facts: Omit<NewMessage, "record" | "offset" | "page">,
  state: number,
  lease: StoredLease | undefined,
): string {
  const { sequence, enqueuedAt, readyAt, attempts, cost, length } = facts;
  const place = `${lane.queueNumber}:${sequence} ${lane.fairnessKey} [${lane.throttleKeys.join()}]`;
  const held = lease === undefined ? "" : ` ${leaseText(lease)}`;
  return `message ${place} enqueued ${enqueuedAt} ready ${readyAt} attempts ${attempts} cost ${cost} length ${length} state ${state}${held}`;
}

function leaseText(lease: StoredLease): string {
  const { token, durationMs, leasedAt, holder } = lease;
  return `token ${token.high}.${token.low} for ${durationMs} since ${leasedAt} by ${holder.kind} ${holder.principal} ${holder.worker} ${holder.session}`;
}
