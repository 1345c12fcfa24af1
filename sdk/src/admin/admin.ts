// Operating queues: every admin call of the broker.
import { createClient, type Client } from "@connectrpc/connect";
import { FilaError } from "../errors.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../gen/grpc/health/v1/health_pb.ts";
import { checkCount, checkQueueName, limits } from "../limits.ts";
import type { Connection } from "../transport/connection.ts";
import { AdminCalls } from "./calls.ts";
import { explanationOf, type Explanation, type ExplainSubject } from "./explanation.ts";
import {
  hookFailure,
  hookTrial,
  trialRequest,
  type HookFailure,
  type HookName,
  type HookTrial,
  type HookTrialOptions,
} from "./hooks.ts";
import {
  fairnessKeySummary,
  idempotencyKeyUse,
  type FairnessKeyChanges,
  type FairnessKeySummary,
  type IdempotencyKeyUse,
} from "./keys.ts";
import {
  listMessages,
  messagesById,
  storedMessageWithPayload,
  type ListMessagesOptions,
  type StoredMessage,
  type StoredMessageWithPayload,
} from "./messages.ts";
import {
  queueChanges,
  queueConfig,
  queueDescription,
  queueStats,
  queueSummary,
  type CreateQueueOptions,
  type DeleteQueueOptions,
  type QueueDescription,
  type QueueSettings,
  type QueueStats,
  type QueueSummary,
} from "./queues.ts";
import { redrive, type RedriveOptions, type RedriveProgress } from "./redrive.ts";
import {
  listConfig,
  watchConfig,
  type ConfigChange,
  type ConfigSnapshot,
  type ConfigValue,
  type WatchConfigOptions,
} from "./runtime-config.ts";
import { known } from "./wire-values.ts";

/** A purge of many millions of messages takes minutes beside a queue that is served. */
const purgeMs = 10 * 60_000;

/** "not_serving": it is stopping, or its store cannot be written. "unknown": it does not tell. */
export type HealthStatus = "serving" | "not_serving" | "unknown";

/**
 * Operates a broker. Every call rejects with FilaError: invalid_argument, unauthenticated, permission_denied, unavailable,
 * deadline_exceeded, ... What only reads is made again when its connection breaks; a change is made once, and may be done or
 * not when it rejects with unavailable or deadline_exceeded. Calls about a queue reject with not_found QUEUE_NOT_FOUND.
 * Lists are asked for page by page, as they are read.
 */
export class Admin {
  readonly #calls: AdminCalls;
  readonly #health: Client<typeof Health>;

  /** Made by `connect` and `connectAdmin`. `timeoutMs` bounds each call but `purgeQueue`, `redrive` and `watchConfig`. */
  constructor(connection: Connection, timeoutMs: number) {
    this.#calls = new AdminCalls(connection, timeoutMs);
    this.#health = createClient(Health, connection.unary);
  }

  /** With its dead-letter queue. Rejects with already_exists QUEUE_EXISTS, invalid_argument INVALID_QUEUE_NAME, SCRIPT_INVALID. */
  async createQueue(name: string, options: CreateQueueOptions = {}): Promise<void> {
    checkQueueName(name);
    const config = queueConfig(options);
    await this.#calls.write((client, call) => client.createQueue({ name, config }, call));
  }

  /**
   * Changes settings; what is left out stays as it is. They act on messages that are there already; a new script is asked
   * from the next message on. Rejects with invalid_argument SCRIPT_INVALID.
   */
  async updateQueue(queue: string, changes: QueueSettings): Promise<void> {
    checkQueueName(queue);
    const request = { queue, ...queueChanges(changes) };
    await this.#calls.write((client, call) => client.updateQueue(request, call));
  }

  /** With all its messages, and with its dead-letter queue. Rejects with failed_precondition DEAD_LETTERS_LEFT. */
  async deleteQueue(queue: string, { force }: DeleteQueueOptions = {}): Promise<void> {
    checkQueueName(queue);
    await this.#calls.write((client, call) => client.deleteQueue({ queue, ...known({ force }) }, call));
  }

  /** All queues, by name. */
  async *listQueues(): AsyncGenerator<QueueSummary, void, undefined> {
    for await (const page of this.#calls.pages((client, cursor, call) => client.listQueues({ cursor }, call))) {
      yield* page.queues.map(queueSummary);
    }
  }

  /** Its settings. */
  async describeQueue(queue: string): Promise<QueueDescription> {
    checkQueueName(queue);
    return queueDescription(await this.#calls.read((client, call) => client.describeQueue({ queue }, call)));
  }

  /** Its numbers. */
  async stats(queue: string): Promise<QueueStats> {
    checkQueueName(queue);
    return queueStats(queue, await this.#calls.read((client, call) => client.getStats({ queue }, call)));
  }

  /** It takes messages in and delivers none. What is leased can be settled. */
  async pauseQueue(queue: string): Promise<void> {
    checkQueueName(queue);
    await this.#calls.write((client, call) => client.pauseQueue({ queue }, call));
  }

  async resumeQueue(queue: string): Promise<void> {
    checkQueueName(queue);
    await this.#calls.write((client, call) => client.resumeQueue({ queue }, call));
  }

  /**
   * Removes all that waits; what is leased stays. Resolves with how many there were. Rejects with deadline_exceeded when it
   * takes longer than 10 minutes, and goes on in the broker; a crash of that leaves the rest: do it again.
   */
  async purgeQueue(queue: string): Promise<number> {
    checkQueueName(queue);
    const { purged } = await this.#calls.write((client, call) => client.purgeQueue({ queue }, call), purgeMs);
    return Number(purged);
  }

  /** The fairness keys of a queue, by name. */
  async *listKeys(queue: string): AsyncGenerator<FairnessKeySummary, void, undefined> {
    checkQueueName(queue);
    for await (const page of this.#calls.pages((client, cursor, call) => client.listKeys({ queue, cursor }, call))) {
      yield* page.keys.map(fairnessKeySummary);
    }
  }

  /** Sets a weight, a cap or a pause on one fairness key, whether it has messages or not. Rejects with resource_exhausted TOO_MANY_KEYS. */
  async setKey(queue: string, fairnessKey: string, changes: FairnessKeyChanges): Promise<void> {
    const { weight, paused, maxInFlight } = changes;
    checkQueueName(queue);
    if (weight !== undefined) checkCount("weight", weight, 0, limits.weight);
    if (maxInFlight !== undefined) checkCount("maxInFlight", maxInFlight, 0, limits.inFlight);
    const request = { queue, fairnessKey, ...known({ weight, paused, maxInFlight }) };
    await this.#calls.write((client, call) => client.setKey(request, call));
  }

  /** The messages of a queue, oldest first. None is leased. */
  listMessages(
    queue: string,
    options: ListMessagesOptions & { readonly withPayload: true },
  ): AsyncGenerator<StoredMessageWithPayload, void, undefined>;
  listMessages(queue: string, options?: ListMessagesOptions): AsyncGenerator<StoredMessage, void, undefined>;
  listMessages(queue: string, options: ListMessagesOptions = {}): AsyncGenerator<StoredMessage, void, undefined> {
    return listMessages(this.#calls, queue, options);
  }

  /** The oldest messages of a queue with their payloads, at most `count`, from 1. Default: 1. */
  async peek(queue: string, count = 1): Promise<StoredMessageWithPayload[]> {
    return Array.fromAsync(this.listMessages(queue, { limit: count, withPayload: true }));
  }

  /** Rejects with not_found MESSAGE_NOT_FOUND. */
  async getMessage(queue: string, messageId: string): Promise<StoredMessageWithPayload> {
    checkQueueName(queue);
    const { message } = await this.#calls.read((client, call) => client.getMessage({ queue, messageId }, call));
    if (message === undefined) throw new FilaError("internal", "PROTOCOL_ERROR", "the answer holds no message");
    return storedMessageWithPayload(message);
  }

  /** Those of the messages that the queue has, however many are asked for; oldest first within each 1,000 ids. */
  async getMessages(queue: string, messageIds: readonly string[]): Promise<StoredMessageWithPayload[]> {
    return messagesById(this.#calls, queue, messageIds);
  }

  /** Removes one message. A worker that holds it learns that its lease is lost. Rejects with not_found MESSAGE_NOT_FOUND. */
  async cancelMessage(queue: string, messageId: string): Promise<void> {
    checkQueueName(queue);
    await this.#calls.write((client, call) => client.cancelMessage({ queue, messageId }, call));
  }

  /** Why a message, or the next one of a fairness key, is not being delivered right now. */
  async explain(queue: string, subject: ExplainSubject): Promise<Explanation> {
    checkQueueName(queue);
    const about =
      "messageId" in subject
        ? { case: "messageId" as const, value: subject.messageId }
        : { case: "fairnessKey" as const, value: subject.fairnessKey };
    return explanationOf(await this.#calls.read((client, call) => client.explain({ queue, about }, call)));
  }

  /**
   * Moves dead letters of `deadLetterQueue` back to their queue, and tells how far it is; the last progress has `done`.
   * It runs while it is iterated: leaving the loop stops it. Not sent twice by the SDK; what was moved stays moved, so do
   * it again for the rest. Throws FilaError failed_precondition NOT_A_DEAD_LETTER_QUEUE, unavailable.
   */
  redrive(deadLetterQueue: string, options: RedriveOptions = {}): AsyncGenerator<RedriveProgress, void, undefined> {
    return redrive(this.#calls, deadLetterQueue, options);
  }

  /** The idempotency keys that a queue remembers, in the order of their use. */
  async *listIdempotencyKeys(queue: string): AsyncGenerator<IdempotencyKeyUse, void, undefined> {
    checkQueueName(queue);
    const ask = this.#calls.pages((client, cursor, call) =>
      client.listIdempotencyKeys({ queue, cursor, limit: 1000 }, call),
    );
    for await (const page of ask) yield* page.keys.map(idempotencyKeyUse);
  }

  /** The key may be used again. Rejects with not_found KEY_NOT_FOUND. */
  async releaseIdempotencyKey(queue: string, idempotencyKey: string): Promise<void> {
    checkQueueName(queue);
    await this.#calls.write((client, call) => client.releaseIdempotencyKey({ queue, idempotencyKey }, call));
  }

  /**
   * Calls a script once, on a message that does not exist, apart from all traffic. A script that fails is an outcome; what
   * does not compile rejects with invalid_argument SCRIPT_INVALID.
   */
  async testHook(hook: HookName, trial: HookTrialOptions): Promise<HookTrial> {
    const request = trialRequest(hook, trial);
    return hookTrial(hook, await this.#calls.read((client, call) => client.testHook(request, call)));
  }

  /** The last calls of its scripts that failed, newest first: at most 16 of each hook, since the broker started. */
  async hookErrors(queue: string): Promise<HookFailure[]> {
    checkQueueName(queue);
    const { errors } = await this.#calls.read((client, call) => client.listHookErrors({ queue }, call));
    return errors.map(hookFailure);
  }

  /** Sets a key of 1 to 256 bytes to a value of at most 1,024; "" deletes it. Rejects with resource_exhausted TOO_MANY_KEYS. */
  async setConfig(key: string, value: string): Promise<void> {
    await this.#calls.write((client, call) => client.setConfig({ key, value }, call));
  }

  async getConfig(key: string): Promise<ConfigValue> {
    const { value, revision } = await this.#calls.read((client, call) => client.getConfig({ key }, call));
    return { value: value === "" ? undefined : value, revision: Number(revision) };
  }

  /** All keys with the prefix. */
  listConfig(prefix = ""): Promise<ConfigSnapshot> {
    return listConfig(this.#calls, prefix);
  }

  /**
   * Every change after a revision, once and in order, for ever. After a lost connection or a restart of the broker it goes
   * on where it was. Throws FilaError failed_precondition CONFIG_COMPACTED when changes are no longer kept (the last 10,000
   * are): read all with `listConfig`, and watch from the revision that it tells; invalid_argument for one that is yet to
   * come; unavailable CONNECTION_FAILED when nobody answers at first.
   */
  watchConfig(options: WatchConfigOptions = {}): AsyncGenerator<ConfigChange, void, undefined> {
    return watchConfig(this.#calls, options);
  }

  /** Whether the broker takes and gives messages. Rejects with unavailable when nobody answers. */
  async health(): Promise<HealthStatus> {
    const { status } = await this.#calls.write((_, call) => this.#health.check({}, call));
    if (status === Status.SERVING) return "serving";
    return status === Status.NOT_SERVING ? "not_serving" : "unknown";
  }
}
