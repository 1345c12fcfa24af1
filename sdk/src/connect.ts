// The client: what a program holds.
import { createClient, type Client } from "@connectrpc/connect";
import { Admin } from "./admin/admin.ts";
import { systemClock } from "./clock.ts";
import { asQueue, type Payload, type Queue } from "./codec.ts";
import { deliveryFromMessage } from "./consuming/delivery.ts";
import { HeldLease } from "./consuming/held-lease.ts";
import { Lease } from "./consuming/lease.ts";
import { LeaseReader } from "./consuming/lease-reader.ts";
import type { OpenStream, StreamRequest } from "./consuming/lease-stream.ts";
import { leaseIterator, type LeaseIterator } from "./consuming/leases.ts";
import { nackOrder, type NackOptions } from "./consuming/nack.ts";
import { UnarySettler } from "./consuming/settle.ts";
import type { SettlementAction, Settler } from "./consuming/settlement.ts";
import { milliseconds, type Duration } from "./duration.ts";
import type { FilaError } from "./errors.ts";
import { rejection } from "./errors.ts";
import { FilaService } from "./gen/index.ts";
import { checkCount, checkQueueName, checkVisibility, invalidField, limits } from "./limits.ts";
import { enqueueMany, type EnqueueResult } from "./producing/enqueue-many.ts";
import {
  outgoingMessage,
  type EnqueuedOnce,
  type EnqueueMessage,
  type EnqueueOnceOptions,
  type EnqueueOptions,
} from "./producing/enqueue-options.ts";
import { EnqueueStreams } from "./producing/enqueue-streams.ts";
import { Producer } from "./producing/producer.ts";
import { Connection } from "./transport/connection.ts";
import { serverUrl } from "./transport/server-url.ts";
import type { OutgoingMessage } from "./wire/outgoing-message.ts";
import type { Handler } from "./working/handler.ts";
import { Worker, WorkerEngine } from "./working/worker.ts";
import { checkWorkOptions, type WorkOptions } from "./working/worker-options.ts";

export interface ConnectOptions {
  /** Bounds each unary call, beyond the time that it asks the broker to wait. Default: 30 s. */
  readonly requestTimeout?: Duration;
  /** How long ending `leases()`, a worker without handlers and `close()` wait for answers. Default: 5 s. */
  readonly closeTimeout?: Duration;
  /** The largest payload, bytes; set it as the server's is set. Default: 1 MiB. */
  readonly maximumPayloadBytes?: number;
  /** Bytes that may wait for their results; enqueues beyond are rejected. Default: 256 MiB. */
  readonly maximumPendingBytes?: number;
  /** Who leases; shown to operators. At most 256 bytes. Default: none. */
  readonly workerId?: string;
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
   * Connects again for ever when the broker restarts or the connection breaks, as a worker does: leases stand over a
   * restart, settlements without an answer are sent again. false: the iteration throws then. Default: false.
   */
  readonly reconnect?: boolean | undefined;
  /** Ends the iteration, quietly. */
  readonly signal?: AbortSignal | undefined;
}

/** A settlement by name, for leases that are no longer at hand as `Lease`. `delay` and `deadLetter`: nack only. */
export interface SettlementRequest extends NackOptions {
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
  /** Queues, messages, keys and run-time configuration: to look at, to change. `connectAdmin` gives it alone. */
  readonly admin: Admin;
  readonly #connection: Connection;
  readonly #client: Client<typeof FilaService>;
  readonly #enqueues: EnqueueStreams;
  readonly #producer: Producer;
  readonly #settler: Settler;
  readonly #open: OpenStream;
  /** What is to be let go of before the connection: each gives the promise of its end. */
  readonly #consumers = new Set<() => Promise<void>>();
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
    this.#open = (events) => this.#connection.stream("StreamLease", events);
    this.#client = createClient(FilaService, this.#connection.unary);
    this.#enqueues = new EnqueueStreams(this.#connection, options.maximumPendingBytes ?? 256 * 1024 * 1024);
    this.#producer = new Producer(this.#enqueues, this.#connection, this.#requestTimeoutMs);
    this.#settler = new UnarySettler(this.#connection, this.#requestTimeoutMs);
    this.admin = new Admin(this.#connection, this.#requestTimeoutMs);
  }

  /**
   * Stores a message. Resolves with its id when it is on disk. Calls made together share a frame.
   * Rejects with FilaError: invalid_argument (INVALID_QUEUE_NAME, INVALID_FIELD, MESSAGE_TOO_LARGE, TOO_MANY_HEADERS),
   * not_found QUEUE_NOT_FOUND, resource_exhausted, unavailable (it may be stored or not; with an idempotency key, call again).
   */
  enqueue<T>(queue: Queue<T>, payload: T, options?: EnqueueOptions): Promise<string>;
  enqueue(queue: string, payload: Payload, options?: EnqueueOptions): Promise<string>;
  enqueue<T>(queue: string | Queue<T>, payload: T, options: EnqueueOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#producer.submit(this.#outgoing(queue, payload, options), { resolve, reject });
    });
  }

  /**
   * As `enqueue` with an idempotency key, and tells whether the key had been used before. (`enqueue` gives the id of the
   * one message either way, which is all that most programs need.)
   */
  enqueueOnce<T>(queue: Queue<T>, payload: T, options: EnqueueOnceOptions): Promise<EnqueuedOnce>;
  enqueueOnce(queue: string, payload: Payload, options: EnqueueOnceOptions): Promise<EnqueuedOnce>;
  enqueueOnce<T>(queue: string | Queue<T>, payload: T, options: EnqueueOnceOptions): Promise<EnqueuedOnce> {
    return new Promise((resolve, reject) => {
      // One that is missing, in a program without types, would be stored as often as it is sent.
      const { idempotencyKey } = options as EnqueueOptions;
      if (idempotencyKey === undefined) throw invalidField("idempotencyKey", "is missing; name the key of the message");
      const told = (id: string, duplicate: boolean): void => resolve({ id, duplicate });
      this.#producer.submit(this.#outgoing(queue, payload, options), { resolve: told, reject });
    });
  }

  /**
   * Stores what the source yields, with a bounded number of messages under way, and yields one result per message in
   * the same order. The errors of a message are values; an error of the source is thrown after the results of what
   * came before it. Nothing happens until the first result is asked for, and no more than 10,000 results are made ahead.
   */
  enqueueMany<T>(
    queue: Queue<T>,
    messages: Iterable<EnqueueMessage<T>> | AsyncIterable<EnqueueMessage<T>>,
  ): AsyncGenerator<EnqueueResult, void, undefined>;
  enqueueMany(
    queue: string,
    messages: Iterable<EnqueueMessage> | AsyncIterable<EnqueueMessage>,
  ): AsyncGenerator<EnqueueResult, void, undefined>;
  enqueueMany<T>(
    queue: string | Queue<T>,
    messages: Iterable<EnqueueMessage<T>> | AsyncIterable<EnqueueMessage<T>>,
  ): AsyncGenerator<EnqueueResult, void, undefined> {
    return enqueueMany(this.#producer, messages, (message) => this.#outgoing(queue, message.payload, message));
  }

  /**
   * Leases up to `maxMessages`; an empty array when none came within `wait`.
   * Rejects with FilaError: invalid_argument, not_found QUEUE_NOT_FOUND, unavailable; with the reason of `signal`.
   */
  async lease<T = Uint8Array>(target: string | Queue<T>, options: LeaseOptions = {}): Promise<Lease<T>[]> {
    const { name: queue, codec } = asQueue(target);
    const waitMs = milliseconds(options.wait ?? 0, "wait", limits.waitMs);
    const maxMessages = checkCount("maxMessages", options.maxMessages ?? 1, 1, 1000);
    const visibilityMs = checkVisibility(options.visibilityTimeout);
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
      return messages.map(
        (message) => new Lease(new HeldLease(queue, deliveryFromMessage(message), this.#settler), codec),
      );
    } catch (error) {
      throw rejection(signal?.aborted === true ? error : this.#connection.explain(error), signal);
    }
  }

  /**
   * Leases messages as the consumer takes them, over one stream. Leaving the loop, or the signal, releases what was
   * not yielded; what was yielded can still be settled until the client is closed.
   * The iteration throws FilaError: invalid_argument, not_found QUEUE_NOT_FOUND, and unless it reconnects unavailable.
   */
  leases<T = Uint8Array>(target: string | Queue<T>, options: LeasesOptions = {}): LeaseIterator<T> {
    const { name, codec } = asQueue(target);
    const reconnects = options.reconnect ?? false;
    const readerOptions = {
      ...this.#streamRequest(name, checkVisibility(options.visibilityTimeout), reconnects),
      reconnects,
      prefetch: checkCount("prefetch", options.prefetch ?? 32, 1, 10_000),
      finishTimeoutMs: this.#closeTimeoutMs,
    };
    const open = (): LeaseReader => {
      this.#connection.assertOpen();
      const gone = (): void => void this.#consumers.delete(finish);
      const reader = new LeaseReader(this.#open, readerOptions, this.#settler, systemClock, gone);
      const finish = (): Promise<void> => reader.finish();
      this.#consumers.add(finish);
      return reader;
    };
    return leaseIterator(open, codec, options.signal);
  }

  /**
   * Calls the handler for each message of the queue, up to `concurrency` at a time: **returning is the ack, throwing is the
   * nack**. Leases are extended while handlers run. A broker that restarts, or a connection that breaks, is waited for.
   * Throws FilaError invalid_argument, unavailable CLIENT_CLOSED; all else is told by the worker.
   */
  work<T = Uint8Array>(target: string | Queue<T>, handler: Handler<T>, options: WorkOptions = {}): Worker {
    const { name, codec } = asQueue(target);
    if (typeof handler !== "function") throw invalidField("handler", "is not a function");
    const checked = checkWorkOptions(options);
    this.#connection.assertOpen();
    const stop = (): Promise<void> => engine.stop({ drainTimeout: this.#closeTimeoutMs });
    const engine = new WorkerEngine(
      this.#streamRequest(name, checked.visibilityTimeoutMs, true),
      codec,
      handler,
      checked,
      {
        open: this.#open,
        fallback: this.#settler,
        clock: systemClock,
        finishTimeoutMs: this.#closeTimeoutMs,
        gone: () => void this.#consumers.delete(stop),
      },
    );
    // Its signal may be aborted already.
    if (engine.state !== "stopped") this.#consumers.add(stop);
    return new Worker(engine);
  }

  /** Settles leases by id and token; one result each, in the same order. Never rejects once the arguments are valid. */
  async settle(queue: string, settlements: readonly SettlementRequest[]): Promise<SettlementResult[]> {
    checkQueueName(queue);
    const checked = settlements.map(({ duration, delay, deadLetter, ...settlement }) => ({
      ...settlement,
      nack: nackOrder({ delay, deadLetter }),
      extendMs: milliseconds(duration ?? 0, "duration", limits.visibilityTimeoutMs),
    }));
    return Promise.all(
      checked.map(
        ({ id, token, action, error = "", nack, extendMs }) =>
          new Promise<SettlementResult>((resolve) => {
            const sink = {
              settled: (end: number | undefined) =>
                resolve({ ok: true, expiresAt: end === undefined ? undefined : new Date(end) }),
              refused: (refusal: FilaError) => resolve({ ok: false, error: refusal }),
            };
            this.#settler.settle({ queue, lease: { id, token }, action, error, nack, extendMs, sink });
          }),
      ),
    );
  }

  /**
   * Stops workers and waits up to `closeTimeout` for them, for enqueues and for settlements under way; releases leases
   * that nobody was given, and closes the connection. Leases that are still held end with it. Never rejects.
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
    const finishing = [...this.#consumers].map((finish) => finish());
    await Promise.race([Promise.all([this.#enqueues.idle(), ...finishing]), timeout.promise]);
    clearTimeout(timer);
    this.#enqueues.close();
    this.#connection.close();
  }

  /** A stream that comes back names itself: 128 random bits. */
  #streamRequest(queue: string, visibilityTimeoutMs: number, comesBack: boolean): StreamRequest {
    const session = comesBack ? Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex") : "";
    return { queue, session, workerId: this.#workerId, visibilityTimeoutMs };
  }

  #outgoing<T>(queue: string | Queue<T>, payload: T, options: EnqueueOptions): OutgoingMessage {
    this.#connection.assertOpen();
    return outgoingMessage(asQueue(queue), payload, options, this.#maximumPayloadBytes);
  }
}
