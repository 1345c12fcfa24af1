// The client: what a program holds.
import { createClient, type Client } from "@connectrpc/connect";
import { Admin } from "./admin.ts";
import { deliveryFromMessage } from "./consuming/delivery.ts";
import { Lease, type SettlementAction, type Settler } from "./consuming/lease.ts";
import { LeaseStream } from "./consuming/lease-stream.ts";
import { leaseIterator, type LeaseIterator } from "./consuming/leases.ts";
import { UnarySettler } from "./consuming/settle.ts";
import { StandingLeases } from "./consuming/standing-leases.ts";
import { milliseconds, type Duration } from "./duration.ts";
import { FilaError, rejection } from "./errors.ts";
import { FilaService } from "./gen/index.ts";
import { checkMessage, checkQueueName, invalidField, limits } from "./limits.ts";
import { enqueueMany, type EnqueueResult } from "./producing/enqueue-many.ts";
import { EnqueueStream } from "./producing/enqueue-stream.ts";
import { Connection } from "./transport/connection.ts";
import { serverUrl } from "./transport/server-url.ts";
import type { OutgoingMessage } from "./wire/outgoing-message.ts";

export interface ConnectOptions {
  /** Bounds each unary call, beyond the time that it asks the broker to wait. Default: 30 s. */
  readonly requestTimeout?: Duration;
  /** How long ending `leases()` and `close()` wait for answers. Default: 5 s. */
  readonly closeTimeout?: Duration;
  /** The largest payload, bytes; set it as the server's is set. Default: 1 MiB. */
  readonly maximumPayloadBytes?: number;
  /** Bytes that may wait for their results; enqueues beyond are rejected. Default: 256 MiB. */
  readonly maximumPendingBytes?: number;
  /** Who leases; shown to operators. At most 256 bytes. Default: none. */
  readonly workerId?: string;
}

/** Bytes as they are, or text as UTF-8. */
export type Payload = Uint8Array | string;

export interface EnqueueOptions {
  /** At most 64, with 8 KiB of names and values. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Messages of one key are delivered in order; backlogged keys share the queue by weight. Default: "default". */
  readonly fairnessKey?: string | undefined;
  /** Weight of the fairness key from now on, 1 to 1,000. Default: the key keeps its weight, 1 at first. */
  readonly weight?: number | undefined;
  /** What the delivery takes from the key's share, 1 to 1,000. Default: 1. */
  readonly cost?: number | undefined;
  /** At most 16 of at most 247 bytes. Default: none. */
  readonly throttleKeys?: readonly string[] | undefined;
}

/** A message of `enqueueMany`. */
export interface EnqueueMessage extends EnqueueOptions {
  readonly payload: Payload;
}

export interface LeaseOptions {
  /** 1 to 1,000. Default: 1. */
  readonly maxMessages?: number | undefined;
  /** How long to wait for the first message, up to 60 s. Default: 0, answer at once. */
  readonly wait?: Duration | undefined;
  /** How long the leases last, 1 s to 12 h. Default: the queue's. */
  readonly visibilityTimeout?: Duration | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LeasesOptions {
  /** Leases that may wait here ahead of the consumer, 1 to 10,000. Default: 32. */
  readonly prefetch?: number | undefined;
  /** How long the leases last, 1 s to 12 h. Default: the queue's. */
  readonly visibilityTimeout?: Duration | undefined;
  /**
   * Names the stream over a restart of the broker: at least 128 random bits, at most 64 bytes. Leases of a broken stream
   * then stay settleable if `leases` is called again with the same session within 5 s. Default: none, they are lost.
   */
  readonly session?: string | undefined;
  /** Ends the iteration, quietly. */
  readonly signal?: AbortSignal | undefined;
}

/** A settlement by name, for leases that are no longer at hand as `Lease`. */
export interface SettlementRequest {
  readonly id: string;
  readonly token: Uint8Array;
  readonly action: SettlementAction;
  /** nack: why. */
  readonly error?: string | undefined;
  /** extend: 1 s to 12 h. Default: the lease's own duration. */
  readonly duration?: Duration | undefined;
}

/** What became of one settlement. `expiresAt`: extend only. */
export type SettlementResult =
  { readonly ok: true; readonly expiresAt: Date | undefined } | { readonly ok: false; readonly error: FilaError };

const encoder = new TextEncoder();

/**
 * A client of the broker at `url`: "http://127.0.0.1:5555", "127.0.0.1:5555", or a host alone, whose port is 5555. Nothing is opened before the first
 * call, and a lost connection is opened anew by the next one. Close it, or declare it with `await using`.
 * Throws FilaError invalid_argument INVALID_URL or INVALID_DURATION.
 */
export function connect(url: string, options: ConnectOptions = {}): Fila {
  return new Fila(serverUrl(url), options);
}

/** A client; made by `connect`. All methods may be called at the same time. */
export class Fila {
  /** Queues: create, delete, list, look at. */
  readonly admin: Admin;
  readonly #connection: Connection;
  readonly #client: Client<typeof FilaService>;
  readonly #producer: EnqueueStream;
  readonly #settler: Settler;
  readonly #streams = new Set<LeaseStream>();
  readonly #standing = new StandingLeases();
  readonly #requestTimeoutMs: number;
  readonly #closeTimeoutMs: number;
  readonly #maximumPayloadBytes: number;
  readonly #workerId: string;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(url: URL, options: ConnectOptions) {
    this.#requestTimeoutMs = milliseconds(options.requestTimeout ?? "30s", "requestTimeout");
    this.#closeTimeoutMs = milliseconds(options.closeTimeout ?? "5s", "closeTimeout");
    this.#maximumPayloadBytes = options.maximumPayloadBytes ?? limits.payloadBytes;
    this.#workerId = options.workerId ?? "";
    this.#connection = new Connection(url);
    this.#client = createClient(FilaService, this.#connection.unary);
    this.#producer = new EnqueueStream(this.#connection, options.maximumPendingBytes ?? 256 * 1024 * 1024);
    this.#settler = new UnarySettler(this.#connection, this.#requestTimeoutMs);
    this.admin = new Admin(this.#connection, this.#requestTimeoutMs);
  }

  /**
   * Stores a message. Resolves with its id when it is on disk. Calls made together share a frame.
   * Rejects with FilaError: invalid_argument (INVALID_QUEUE_NAME, INVALID_FIELD, MESSAGE_TOO_LARGE, TOO_MANY_HEADERS),
   * not_found QUEUE_NOT_FOUND, resource_exhausted, unavailable (it may be stored or not).
   */
  enqueue(queue: string, payload: Payload, options: EnqueueOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#connection.assertOpen();
      this.#producer.submit(this.#outgoing(queue, payload, options), { resolve, reject });
    });
  }

  /**
   * Stores what the source yields, with a bounded number of messages under way, and yields one result per message in
   * the same order. The errors of a message are values; an error of the source is thrown after the results of what
   * came before it. Nothing happens until the first result is asked for, and no more than 10,000 results are made ahead.
   */
  enqueueMany(
    queue: string,
    messages: Iterable<EnqueueMessage> | AsyncIterable<EnqueueMessage>,
  ): AsyncGenerator<EnqueueResult, void, undefined> {
    return enqueueMany(this.#producer, messages, (message) => {
      this.#connection.assertOpen();
      return this.#outgoing(queue, message.payload, message);
    });
  }

  /**
   * Leases up to `maxMessages`; an empty array when none came within `wait`.
   * Rejects with FilaError: invalid_argument, not_found QUEUE_NOT_FOUND, unavailable; with the reason of `signal`.
   */
  async lease(queue: string, options: LeaseOptions = {}): Promise<Lease[]> {
    checkQueueName(queue);
    const waitMs = milliseconds(options.wait ?? 0, "wait", limits.waitMs);
    const maxMessages = checkCount("maxMessages", options.maxMessages ?? 1, 1000);
    const visibilityMs = visibility(options.visibilityTimeout);
    const { signal } = options;
    try {
      signal?.throwIfAborted();
      this.#connection.assertOpen();
      const { messages } = await this.#client.lease(
        {
          queue,
          maxMessages,
          waitMs: BigInt(waitMs),
          visibilityTimeoutMs: BigInt(visibilityMs),
          workerId: this.#workerId,
        },
        { timeoutMs: waitMs + this.#requestTimeoutMs, ...(signal && { signal }) },
      );
      return messages.map((message) => new Lease(queue, deliveryFromMessage(message), this.#settler));
    } catch (error) {
      throw rejection(signal?.aborted === true ? error : this.#connection.explain(error), signal);
    }
  }

  /**
   * Leases messages as the consumer takes them, over one stream. Leaving the loop, or the signal, releases what was
   * not yielded; what was yielded can still be settled until the client is closed.
   * The iteration throws FilaError: invalid_argument, not_found QUEUE_NOT_FOUND, unavailable when the stream breaks.
   */
  leases(queue: string, options: LeasesOptions = {}): LeaseIterator {
    checkQueueName(queue);
    const subscription = {
      queue,
      prefetch: checkCount("prefetch", options.prefetch ?? 32, 10_000),
      session: options.session ?? "",
      workerId: this.#workerId,
      visibilityTimeoutMs: visibility(options.visibilityTimeout),
      finishTimeoutMs: this.#closeTimeoutMs,
    };
    return leaseIterator(() => {
      this.#connection.assertOpen();
      const ended = (): void => void this.#streams.delete(stream);
      const stream = new LeaseStream(this.#connection, subscription, this.#settler, this.#standing, ended);
      this.#streams.add(stream);
      return stream;
    }, options.signal);
  }

  /** Settles leases by id and token; one result each, in the same order. Never rejects once the arguments are valid. */
  async settle(queue: string, settlements: readonly SettlementRequest[]): Promise<SettlementResult[]> {
    checkQueueName(queue);
    const pending = settlements.map(({ id, token, action, error = "", duration = 0 }) => ({
      queue,
      id,
      token,
      action,
      error,
      extendMs: milliseconds(duration, "duration", limits.visibilityTimeoutMs),
    }));
    return Promise.all(
      pending.map((settlement) =>
        this.#settler.settle(settlement).then(
          (end): SettlementResult => ({ ok: true, expiresAt: end === undefined ? undefined : new Date(end) }),
          (error: unknown): SettlementResult => ({ ok: false, error: FilaError.from(error) }),
        ),
      ),
    );
  }

  /**
   * Waits up to `closeTimeout` for enqueues and settlements under way, releases leases that nobody was given, and
   * closes the connection. Leases that are still held end with it. Never rejects.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const timeout = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => timeout.resolve(undefined), this.#closeTimeoutMs);
    const finishing = [...this.#streams].map((stream) => stream.finish());
    await Promise.race([Promise.all([this.#producer.idle(), ...finishing]), timeout.promise]);
    clearTimeout(timer);
    this.#producer.close();
    this.#connection.close();
  }

  #outgoing(queue: string, payload: Payload, options: EnqueueOptions): OutgoingMessage {
    checkQueueName(queue);
    const message = {
      queue,
      payload: typeof payload === "string" ? encoder.encode(payload) : payload,
      headers: options.headers,
      fairnessKey: options.fairnessKey,
      weight: options.weight,
      cost: options.cost,
      throttleKeys: options.throttleKeys,
    };
    checkMessage(message, this.#maximumPayloadBytes);
    return message;
  }
}

function visibility(duration: Duration | undefined): number {
  return milliseconds(duration ?? 0, "visibilityTimeout", limits.visibilityTimeoutMs);
}

function checkCount(field: string, value: number, maximum: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= maximum) return value;
  throw invalidField(field, `is ${value}; it must be an integer from 1 to ${maximum}`);
}
