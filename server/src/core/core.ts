// The core of the broker: commands in, mutations and effects out, no world in between. A turn is
//   begin(now) -> step(command)* -> finish()
// and nothing of it may be seen outside before its mutations are durable.
import type { Command, OpenConsumer } from "./commands.ts";
import { ask, decided, decideOverdue } from "./attempts.ts";
import { Consumer } from "./consumer.ts";
import { configure } from "./configuration.ts";
import { addDeadLetterQueue, createQueue, deadLetter } from "./dead-letters.ts";
import { forgetKeys, nextForgotten } from "./deduplication.ts";
import type { QueueStats, QueueSummary } from "./effects.ts";
import { type Failure, failure, invariant } from "./errors.ts";
import { enqueueAll } from "./enqueuing.ts";
import { unknownQueue } from "./failures.ts";
import { FormerHolders, ReadyClock, closeConsumer, expireLeases, leaveQueue } from "./lease-endings.ts";
import { type CoreLimits, defaultLimits } from "./limits.ts";
import { operate, scriptWorked } from "./operations.ts";
import { Orphans } from "./orphans.ts";
import { Purges } from "./purges.ts";
import { maxQueueNumber } from "./message-id.ts";
import { MessageState, type Place } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import { type QueueSettings, deadLetterSuffix, isDeadLetterName } from "./queue-settings.ts";
import type { AttemptEnd } from "./retry-policy.ts";
import { queueStats, summaryOf } from "./queue-stats.ts";
import { deliver } from "./scheduling.ts";
import { settleAll } from "./settlement.ts";
import { State } from "./state.ts";
import { type Entropy, type Now, Turn, type TurnResult } from "./turn.ts";
import { expireMessages, wakeDue } from "./waiting.ts";

/** How often the wall clock is looked at while messages wait for a time of day, milliseconds. */
const wallClockMs = 1_000;

export class Core {
  readonly state: State;
  readonly formerHolders = new FormerHolders();
  readonly readyClock = new ReadyClock();
  readonly orphans = new Orphans();
  readonly purges = new Purges();
  /** Nothing is leased any more. */
  draining = false;
  /** Polls that were opened and are neither served nor known to find nothing. */
  #undecided: Consumer[] = [];
  /** Messages that were deciding when the process ended, with how their attempts ended. */
  askAgain: (readonly [number, AttemptEnd])[] = [];
  #resumed = false;
  /** What the steady clock is ahead of the monotonic one. */
  #steadyBase: number | undefined;
  /** Of the last turn. */
  #now: Now = { mono: 0, wall: 0 };
  #dropping = false;
  readonly limits: CoreLimits;
  readonly #entropy: Entropy;
  #turn: Turn | undefined;

  /** @param salt 0 to 1,023: part of every message id. */
  constructor(salt: number, entropy: Entropy, limits: CoreLimits = defaultLimits) {
    this.state = new State(salt);
    this.#entropy = entropy;
    this.limits = limits;
  }

  /** @param idle no command comes in this turn */
  begin(now: Now, idle = false): void {
    const steady = now.mono + this.startClock(now);
    const turn = new Turn(now, steady, this.#entropy, this.limits, idle);
    this.#turn = turn;
    // Before the commands: a message that came in the very turn that deletes or purges its queue has no place in storage yet.
    this.#dropping = this.state.dying.step(this.state, turn);
    this.purges.step(this.state, turn);
    if (!this.#resumed) this.#resume(turn);
  }

  /** From its first look on, the steady clock shows the wall clock's time of then and goes on by itself; gives the steady
   * clock's lead over the monotonic one. */
  startClock(now: Now): number {
    this.#now = now;
    return (this.#steadyBase ??= now.wall - now.mono);
  }

  /** What a restart left open. */
  #resume(turn: Turn): void {
    this.#resumed = true;
    for (const [slot, end] of this.askAgain) ask(this.state, turn, slot, end);
    this.askAgain = [];
    // Queues of before there were dead letters get theirs.
    for (const queue of [...this.state.queuesByName.values()]) {
      if (!queue.isDeadLetterQueue && queue.deadLetters === 0) addDeadLetterQueue(this.state, turn, queue);
    }
  }

  step(command: Command): void {
    const turn = this.#openTurn();
    switch (command.type) {
      case "decided":
        decided(this, turn, command.queueNumber, command.sequence, command.attempt, command.decision);
        return;
      case "enqueue":
        turn.effects.push({
          type: "enqueued",
          request: command.request,
          outcomes: enqueueAll(this, turn, command.items),
        });
        return;
      case "settle": {
        const queue = this.state.queuesByName.get(command.queue);
        if (queue === undefined) this.#fail(turn, command.request, unknownQueue(command.queue));
        else {
          const outcomes = settleAll(this, turn, queue, command.items, command);
          turn.effects.push({ type: "settled", request: command.request, queueNumber: queue.number, outcomes });
        }
        return;
      }
      case "open":
        this.#open(turn, command);
        return;
      case "credit": {
        const consumer = this.state.consumers.get(command.consumer);
        if (consumer === undefined) return;
        consumer.credit += command.messages;
        this.state.maybeAvailable(consumer);
        return;
      }
      case "stop": {
        const consumer = this.state.consumers.get(command.consumer);
        if (consumer === undefined) return;
        consumer.stopped = true;
        consumer.queue.line.leave(consumer);
        turn.effects.push({ type: "stopped", consumer: consumer.id });
        return;
      }
      case "written": {
        const consumer = this.state.consumers.get(command.consumer);
        if (consumer === undefined) return;
        consumer.written(command.ordinal);
        this.state.maybeAvailable(consumer);
        return;
      }
      case "undelivered": {
        const consumer = this.state.consumers.get(command.consumer);
        if (consumer !== undefined) this.#undelivered(consumer, command.ordinals, command.all);
        return;
      }
      case "close": {
        const consumer = this.state.consumers.get(command.consumer);
        if (consumer !== undefined) closeConsumer(this, turn, consumer, command.written);
        return;
      }
      case "disconnect":
        this.formerHolders.forget(command.connection);
        return;
      case "quarantine":
        this.#quarantine(turn, command.queueNumber, command.sequence);
        return;
      case "script-worked":
        scriptWorked(this.state, turn, command);
        return;
      default:
        this.#administer(turn, command);
    }
  }

  #administer(
    turn: Turn,
    command: Exclude<
      Command,
      {
        type:
          | "enqueue"
          | "settle"
          | "open"
          | "credit"
          | "stop"
          | "written"
          | "undelivered"
          | "close"
          | "disconnect"
          | "quarantine"
          | "decided"
          | "script-worked";
      }
    >,
  ): void {
    switch (command.type) {
      case "set-config":
      case "get-config":
      case "list-config":
      case "config-changes":
        configure(this.state, turn, command);
        return;
      case "release-key":
      case "find-uses":
      case "describe-queue":
      case "list-keys":
      case "update-queue":
      case "set-key":
      case "cancel":
      case "purge":
      case "scan":
      case "get-messages":
      case "explain":
      case "redrive":
        operate(this, turn, command);
        return;
      case "create-queue": {
        const refused = this.#createQueue(turn, command.name, command.settings);
        if (refused === undefined) turn.effects.push({ type: "done", request: command.request });
        else this.#fail(turn, command.request, refused);
        return;
      }
      case "delete-queue": {
        const queue = this.state.queuesByName.get(command.name);
        if (queue === undefined) {
          this.#fail(turn, command.request, unknownQueue(command.name));
          return;
        }
        const left = this.state.queuesByNumber.get(queue.deadLetters);
        if (command.force === false && left?.madeFor === queue.number && left.depth > 0) {
          this.#fail(turn, command.request, deadLettersLeft(queue, left));
          return;
        }
        this.#deleteQueue(turn, queue);
        turn.effects.push({ type: "done", request: command.request });
        return;
      }
      case "list-queues":
        turn.effects.push({ type: "queues", request: command.request, ...this.#list(command.after, command.limit) });
        return;
      case "queue-stats": {
        const stats = this.stats(command.name, command.topKeys);
        if (stats === undefined) this.#fail(turn, command.request, unknownQueue(command.name));
        else turn.effects.push({ type: "stats", request: command.request, stats });
      }
    }
  }

  /**
   * Does what time and the commands make due, and closes the turn.
   * @param expire false: after a stall, while input that had arrived in time is still being read
   */
  finish(expire = true): TurnResult {
    const turn = this.#openTurn();
    const expired = expire && expireLeases(this, turn);
    const orphaned = expire && this.orphans.giveUp(this, turn);
    const undecided = expire && decideOverdue(this, turn);
    const outlived = expireMessages(this, turn);
    const waking = wakeDue(this, turn);
    const forgetting = forgetKeys(this.state, turn);
    const purging = this.purges.size > 0;
    const dropping = this.#dropping || this.state.dying.size > 0;
    const { slicePerTurn, freedPerTurn } = turn.limits;
    this.state.throttles.free(freedPerTurn);
    const calling = this.state.throttles.settle(turn.now.mono, slicePerTurn) >= slicePerTurn;
    const scheduling = !this.draining && deliver(this.state, turn);
    this.#undecided = this.#undecided.filter((poll) => this.#isUndecided(turn, poll));
    turn.close();
    this.#turn = undefined;
    const { freeing } = this.state.throttles;
    const urgent = expired || orphaned || undecided || outlived || waking || freeing || calling || scheduling;
    const leisurely = !urgent && (forgetting || purging || dropping);
    return { mutations: turn.mutations, effects: turn.effects, more: urgent || leisurely, leisurely };
  }

  /** The monotonic time at which a turn is needed even without a command; Infinity: never. */
  get nextDeadline(): number {
    // Questions that a restart left open are put again with the first turn.
    if (this.askAgain.length > 0) return this.#now.mono;
    const { deadlines, delayed, scheduled, expiries, table, undecided } = this.state;
    const base = this.#steadyBase ?? 0;
    let next = Math.min(deadlines.first?.deadline ?? Infinity, this.orphans.deadline, undecided.deadline);
    if (delayed.size > 0) next = Math.min(next, table.readyAt(delayed.first) - base);
    if (expiries.size > 0) next = Math.min(next, table.expiresAt(expiries.first) - base);
    next = Math.min(next, nextForgotten(this.state) - base, this.state.throttles.nextDeadline);
    if (scheduled.size === 0) return next;
    // The wall clock may be set at any moment, so it is looked at every second.
    const { mono, wall } = this.#now;
    return Math.min(next, mono + Math.min(table.readyAt(scheduled.first) - wall, wallClockMs));
  }

  /** When a message is due, or its place: as it is to be stored, wall clock. */
  storedReadyAt(slot: number): number {
    const { table } = this.state;
    const readyAt = table.readyAt(slot);
    return table.state(slot) === MessageState.delayed ? this.#toWall(readyAt) : readyAt;
  }

  /** As it is to be stored: wall clock; 0 = never. */
  storedExpiresAt(slot: number): number {
    const expiresAt = this.state.table.expiresAt(slot);
    return expiresAt === 0 ? 0 : this.#toWall(expiresAt);
  }

  get mono(): number {
    return this.#now.mono;
  }

  wallOf(mono: number): number {
    return this.#now.wall + (mono - this.#now.mono);
  }

  #toWall(steady: number): number {
    const { mono, wall } = this.#now;
    return Math.ceil(steady - (mono + (this.#steadyBase ?? 0)) + wall);
  }

  /** Where the bytes of a message are, and the page of its facts. */
  placeOf(slot: number): Place {
    const { table } = this.state;
    return {
      record: table.record(slot),
      offset: table.offset(slot),
      length: table.length(slot),
      page: table.page(slot),
    };
  }

  stats(name: string, topKeys: number): QueueStats | undefined {
    const queue = this.state.queuesByName.get(name);
    return queue === undefined ? undefined : queueStats(this.state, queue, topKeys, this.mono);
  }

  #openTurn(): Turn {
    invariant(this.#turn !== undefined, "a turn is open");
    return this.#turn;
  }

  #fail(turn: Turn, request: number, refused: Failure): void {
    turn.effects.push({ type: "failed", request, failure: refused });
  }

  #open(turn: Turn, command: OpenConsumer): void {
    const queue = this.state.queuesByName.get(command.queue);
    if (queue === undefined) {
      turn.effects.push({ type: "ended", consumer: command.consumer, failure: unknownQueue(command.queue) });
      return;
    }
    invariant(!this.state.consumers.has(command.consumer), "a consumer's number is used once");
    const { kind, principal, worker, session } = command;
    const visibilityMs = command.visibilityMs === 0 ? queue.settings.visibilityMs : command.visibilityMs;
    const holder = { kind, principal, worker, session };
    const consumer = new Consumer(command.consumer, queue, holder, command.connection, visibilityMs, command.credit);
    this.state.consumers.set(consumer.id, consumer);
    queue.consumers.add(consumer);
    this.formerHolders.opened(consumer.connection);
    const adopted = this.orphans.adopt(this, turn, consumer);
    turn.effects.push({ type: "opened", consumer: consumer.id, visibilityMs, adopted });
    this.state.maybeAvailable(consumer);
    if (kind === "poll") this.#undecided.push(consumer);
  }

  /** A poll stays undecided while its queue waits for a turn with budget left. */
  #isUndecided(turn: Turn, poll: Consumer): boolean {
    if (poll.closed || poll.nextOrdinal > 1) return false;
    if (poll.queue.scheduled) return true;
    turn.effects.push({ type: "idle", consumer: poll.id });
    return false;
  }

  #undelivered(consumer: Consumer, ordinals: readonly number[], all: boolean): void {
    for (const ordinal of ordinals) consumer.undelivered(ordinal);
    // A client counts what it was sent, so it would wait for these for ever. A poll that was sent anything is over.
    const { kind } = consumer.holder;
    if (kind === "stream" || (kind === "poll" && all)) consumer.credit += ordinals.length;
    this.state.maybeAvailable(consumer);
  }

  #createQueue(turn: Turn, name: string, settings: QueueSettings): Failure | undefined {
    const { state } = this;
    if (state.queuesByName.has(name)) {
      return failure("QUEUE_EXISTS", `queue "${name}" exists already; choose another name or delete it first`, {
        metadata: { queue: name },
      });
    }
    if (countedQueues(state) >= this.limits.maxQueues) {
      return failure(
        "TOO_MANY_QUEUES",
        `there are ${this.limits.maxQueues} queues already; delete one, or raise limits.max_queues`,
      );
    }
    if (state.nextQueueNumber > maxQueueNumber - 1) {
      // An id could not carry the number, so nothing of the queue could ever be settled.
      return failure(
        "TOO_MANY_QUEUES",
        `this store has given all of its ${maxQueueNumber} queue numbers, which are never used again; move to a new store`,
      );
    }
    if (isDeadLetterName(name)) {
      createQueue(state, turn, name, { settings });
      const source = state.queuesByName.get(name.slice(0, -deadLetterSuffix.length));
      // Its own was deleted.
      if (source?.isDeadLetterQueue === false) addDeadLetterQueue(state, turn, source);
      return undefined;
    }
    // One that exists under the name is adopted.
    const existing = state.queuesByName.get(name + deadLetterSuffix);
    const deadLetters = existing?.number ?? state.nextQueueNumber + 1;
    const { number } = createQueue(state, turn, name, { settings, deadLetters });
    if (existing === undefined) createQueue(state, turn, name + deadLetterSuffix, { madeFor: number });
    return undefined;
  }

  #deleteQueue(turn: Turn, queue: Queue): void {
    const deadLetters = this.state.queuesByNumber.get(queue.deadLetters);
    if (deadLetters?.madeFor === queue.number && !deadLetters.dead) this.#deleteQueue(turn, deadLetters);
    if (queue.madeFor !== 0) this.state.madeAlong -= 1;
    queue.dead = true;
    this.state.queuesByName.delete(queue.name);
    this.state.dying.add(queue);
    turn.mutations.push({ type: "queue-deleted", queueNumber: queue.number, name: queue.name });
    const gone = failure("QUEUE_NOT_FOUND", `queue "${queue.name}" was deleted`, { metadata: { queue: queue.name } });
    for (const consumer of [...queue.consumers]) {
      leaveQueue(this.state, consumer);
      this.formerHolders.closed(consumer.connection);
      // It stays in the dead queue's set until its leases are taken from it, slice by slice.
      queue.consumers.add(consumer);
      turn.effects.push({ type: "ended", consumer: consumer.id, failure: gone });
    }
  }

  #quarantine(turn: Turn, queueNumber: number, sequence: number): void {
    const { state } = this;
    const slot = state.index.get(queueNumber, sequence);
    if (slot === undefined || state.laneOf(slot).key.queue.dead) return;
    if (state.table.state(slot) === MessageState.quarantined) return;
    const lease = state.leases.get(slot);
    if (lease !== undefined) {
      if (lease.consumer !== undefined) {
        turn.lost(lease.consumer, { id: state.idOf(slot), token: lease.token });
        lease.consumer.undelivered(lease.ordinal);
      }
      state.endLease(lease);
    } else state.leaveLists(slot);
    if (!state.laneOf(slot).key.queue.isDeadLetterQueue) {
      deadLetter(this, turn, slot, "corrupt", "the message cannot be read back from the store");
      return;
    }
    state.table.setState(slot, MessageState.quarantined);
    state.setAside.add(slot);
    state.resumeExpiry(slot);
    turn.mutations.push({
      type: "quarantined",
      queueNumber,
      sequence,
      page: state.table.page(slot),
      inQueue: state.laneOf(slot).queueNumber,
    });
  }

  #list(after: string, limit: number): { queues: QueueSummary[]; total: number; more: boolean } {
    const names = [...this.state.queuesByName.keys()].filter((name) => name > after).sort();
    const queues = names.slice(0, limit).map((name) => summaryOf(this.state.queuesByName.get(name) as Queue));
    return { queues, total: this.state.queuesByName.size, more: names.length > limit };
  }
}

/** Dead-letter queues that came with their queues do not count. */
function countedQueues(state: State): number {
  return state.queuesByName.size - state.madeAlong;
}

function deadLettersLeft(queue: Queue, { name, depth }: Queue): Failure {
  return failure(
    "DEAD_LETTERS_LEFT",
    `queue "${queue.name}" has ${depth} dead letter(s) in "${name}"; redrive or purge them, or delete with force`,
    { metadata: { queue: queue.name, dead_letter_queue: name } },
  );
}
