// A broker in memory for the tests of this package: the generated code on both sides, so that the hand-written encoders
// are checked against it. One queue is first in, first out; there is no fairness and no disk.
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import {
  type AdoptedLeaseSchema,
  ErrorInfoSchema,
  FilaAdmin,
  FilaService,
  LeasedMessageSchema,
  SettlementAction,
  type EnqueueRequest,
  type EnqueueResultSchema,
  type LeasedMessage,
  type SettleResultSchema,
  type Settlement,
  type StreamEnqueueRequest,
  type StreamEnqueueResponseSchema,
  type StreamLeaseRequest,
  type StreamLeaseResponseSchema,
} from "../gen/index.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/grpc/health/v1/health_pb.ts";

interface Stored {
  readonly id: string;
  readonly request: EnqueueRequest;
  attempts: number;
  lease: Grant | undefined;
}

interface Grant {
  readonly token: Uint8Array;
  /** undefined: of a unary call, or of a stream that ended over a restart. */
  stream: LeaseSession | undefined;
  readonly session: string;
}

export class FakeBroker {
  /** Messages not acked, in order, by queue. */
  readonly queues = new Map<string, Stored[]>();
  /** Of all queues; with the id that each stands for. */
  readonly idempotencyKeys = new Map<string, string>();
  /** Frames that came over StreamEnqueue: number of messages each. */
  readonly frames: number[] = [];
  readonly settled: {
    readonly action: SettlementAction;
    readonly id: string;
    readonly error: string;
    readonly extendMs: number;
    readonly retryDelayMs: number | undefined;
    readonly deadLetter: boolean;
    readonly ok: boolean;
  }[] = [];
  /** Reason of an error that settlements get instead of being done. */
  settlementError: { readonly code: Code; readonly reason: string } | undefined;
  /** Asked before each settlement over a stream; false: no answer ever comes. Whether it was done by then: `doneUnanswered`. */
  answers = true;
  doneUnanswered = true;
  /** Every session name that subscribed, in order. */
  readonly sessions: string[] = [];
  /** Held back until it resolves: each answer to a frame of StreamEnqueue. */
  gate: Promise<unknown> = Promise.resolve();
  /** Messages that are refused, as by a script of their queue. */
  refuses: (request: EnqueueRequest) => boolean = () => false;
  health: HealthCheckResponse_ServingStatus = HealthCheckResponse_ServingStatus.SERVING;
  streamsOpened = 0;
  leaseStreamsEnded = 0;
  /** Leases of streams that end stay, as over a restart of the broker, and are taken up again by their session. */
  keepLeases = false;
  /** What acks answered OK did, so that a second one is OK too. */
  readonly #acked = new Set<string>();
  readonly #streams = new Set<LeaseSession>();
  readonly #server = http2.createServer();
  readonly #connections = new Set<http2.ServerHttp2Session>();
  readonly #waiters = new Set<() => void>();

  /** Listens on a free port, or on the one given. */
  async start(port = 0): Promise<string> {
    const handler = connectNodeAdapter({ routes: (router) => this.#routes(router), acceptCompression: [] });
    this.#server.on("request", handler);
    this.#server.on("session", (session) => {
      this.#connections.add(session);
      session.on("close", () => this.#connections.delete(session));
      session.on("error", () => undefined);
    });
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Drops every connection, as a killed process does. */
  dropConnections(): void {
    for (const session of this.#connections) session.destroy();
  }

  /** Tells every stream of leases that the broker is about to stop, and leases no more. */
  drain(): void {
    for (const stream of this.#streams) stream.drain();
  }

  /** Ends every stream of leases. */
  endStreams(error: ConnectError): void {
    for (const stream of this.#streams) stream.end(error);
  }

  async stop(): Promise<void> {
    this.dropConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  createQueue(name: string): void {
    this.queues.set(name, []);
  }

  /** Resolves when `condition` holds; asked again after each change. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed();
  }

  /** Takes a lease away, as an expiry does. */
  expire(id: string): void {
    for (const stored of this.#all()) {
      if (stored.id !== id || stored.lease === undefined) continue;
      const { token, stream } = stored.lease;
      stored.lease = undefined;
      stored.attempts++;
      stream?.push({ lost: [{ messageId: id, leaseToken: token, reason: "LEASE_EXPIRED" }] });
    }
    this.changed();
  }

  /** Tells the holder that it lost a lease of that token, whether it has that one or not. */
  tellLost(id: string, token: Uint8Array): void {
    for (const stored of this.#all()) {
      if (stored.id === id) stored.lease?.stream?.push({ lost: [{ messageId: id, leaseToken: token, reason: "X" }] });
    }
  }

  changed(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  *#all(): Generator<Stored> {
    for (const stored of this.queues.values()) yield* stored;
  }

  lease(queue: string, maximum: number, stream?: LeaseSession): LeasedMessage[] {
    const leased: LeasedMessage[] = [];
    for (const stored of this.#queue(queue)) {
      if (leased.length >= maximum) break;
      if (stored.lease !== undefined) continue;
      stored.lease = { token: randomBytes(8), stream, session: stream?.session ?? "" };
      leased.push(toLeased(stored, queue));
    }
    if (leased.length > 0) this.changed();
    return leased;
  }

  settle(settlement: Settlement, queue: string): MessageInitShape<typeof SettleResultSchema> {
    const result = this.#settle(settlement, queue);
    const { action, messageId: id, error, extendMs, retryDelayMs: delay, deadLetter } = settlement;
    const retryDelayMs = delay === undefined ? undefined : Number(delay);
    const ok = result.error === undefined;
    this.settled.push({ action, id, error, extendMs: Number(extendMs), retryDelayMs, deadLetter, ok });
    this.changed();
    return result;
  }

  #settle(settlement: Settlement, queue: string): MessageInitShape<typeof SettleResultSchema> {
    if (this.settlementError !== undefined) return { error: { ...this.settlementError, message: "not now" } };
    const stored = this.#queue(queue);
    const place = stored.findIndex((one) => one.id === settlement.messageId);
    const message = stored[place];
    const key = `${settlement.messageId} ${Buffer.from(settlement.leaseToken).toString("hex")}`;
    if (settlement.action === SettlementAction.ACK && this.#acked.has(key)) return {};
    if (message?.lease === undefined || Buffer.compare(message.lease.token, settlement.leaseToken) !== 0) {
      return { error: { code: Code.FailedPrecondition, reason: "LEASE_LOST", message: "the lease was lost" } };
    }
    if (settlement.action === SettlementAction.EXTEND) {
      return { leaseExpiresAt: timestampFromMs(1_000_000 + Number(settlement.extendMs)) };
    }
    message.lease = undefined;
    if (settlement.action === SettlementAction.ACK || settlement.deadLetter) stored.splice(place, 1);
    if (settlement.action === SettlementAction.ACK) this.#acked.add(key);
    if (settlement.action === SettlementAction.NACK) message.attempts++;
    return {};
  }

  /** A stream of this name takes up what an earlier one held over a restart. */
  adopt(queue: string, stream: LeaseSession): MessageInitShape<typeof AdoptedLeaseSchema>[] {
    this.#streams.add(stream);
    this.sessions.push(stream.session);
    if (stream.session === "") return [];
    return this.#queue(queue).flatMap(({ id, lease }) => {
      if (lease?.session !== stream.session || lease.stream !== undefined) return [];
      lease.stream = stream;
      return [{ messageId: id, leaseToken: lease.token, leaseExpiresAt: timestampFromMs(2_000_000) }];
    });
  }

  /** The stream is gone: what it held is delivered to others. */
  abandon(stream: LeaseSession): void {
    this.leaseStreamsEnded++;
    this.#streams.delete(stream);
    for (const stored of this.#all()) {
      if (stored.lease?.stream !== stream) continue;
      if (this.keepLeases) {
        stored.lease.stream = undefined;
        continue;
      }
      stored.lease = undefined;
      stored.attempts++;
    }
    this.changed();
  }

  async arrival(): Promise<void> {
    await this.#changed();
  }

  #queue(name: string): Stored[] {
    const stored = this.queues.get(name);
    if (stored !== undefined) return stored;
    throw new ConnectError(`queue "${name}" does not exist`, Code.NotFound, undefined, [
      { desc: ErrorInfoSchema, value: { reason: "QUEUE_NOT_FOUND", domain: "fila" } },
    ]);
  }

  #store(request: EnqueueRequest, frameQueue: string): MessageInitShape<typeof EnqueueResultSchema> {
    const queue = this.queues.get(request.queue === "" ? frameQueue : request.queue);
    if (queue === undefined) {
      const error = { code: Code.NotFound, reason: "QUEUE_NOT_FOUND", message: "no such queue" };
      return { result: { case: "error", value: error } };
    }
    if (this.refuses(request)) {
      const error = { code: Code.FailedPrecondition, reason: "HOOK_FAILED", message: "the script failed" };
      return { result: { case: "error", value: error } };
    }
    const stored = { id: randomUUID(), request, attempts: 0, lease: undefined };
    const key = request.idempotencyKey;
    const first = this.idempotencyKeys.get(key);
    if (first !== undefined) return { result: { case: "messageId", value: first }, duplicate: true };
    if (key !== "") this.idempotencyKeys.set(key, stored.id);
    queue.push(stored);
    return { result: { case: "messageId", value: stored.id } };
  }

  async *#streamEnqueue(
    requests: AsyncIterable<StreamEnqueueRequest>,
  ): AsyncGenerator<MessageInitShape<typeof StreamEnqueueResponseSchema>> {
    this.streamsOpened++;
    for await (const { frame, messages, queue } of requests) {
      this.frames.push(messages.length);
      this.changed();
      await this.gate;
      const results = messages.map((message) => this.#store(message, queue));
      this.changed();
      yield { frame, results };
    }
  }

  #routes(router: ConnectRouter): void {
    router.service(Health, { check: () => ({ status: this.health }) });
    router.service(FilaAdmin, {
      createQueue: ({ name }) => {
        if (this.queues.has(name)) throw new ConnectError(`queue "${name}" exists`, Code.AlreadyExists);
        this.createQueue(name);
        return { queueId: name };
      },
      deleteQueue: ({ queue }) => {
        this.#queue(queue);
        this.queues.delete(queue);
        return {};
      },
      listQueues: ({ cursor }) => {
        const names = [...this.queues.keys()].sort().filter((name) => name > cursor);
        const page = names.slice(0, 2).map((name) => ({ name, depth: BigInt(this.#queue(name).length) }));
        return { queues: page, nextCursor: names.length > 2 ? (names[1] ?? "") : "" };
      },
      getStats: ({ queue }) => ({ depth: BigInt(this.#queue(queue).length), visibilityTimeoutMs: 30_000n }),
    });
    router.service(FilaService, {
      streamEnqueue: (requests) => this.#streamEnqueue(requests),
      lease: async ({ queue, maxMessages, waitMs }, { signal }) => {
        let messages = this.lease(queue, maxMessages);
        if (messages.length === 0 && waitMs > 0n) {
          await Promise.race([this.#changed(), once(signal, "abort")]);
          messages = this.lease(queue, maxMessages);
        }
        return { messages };
      },
      settle: ({ queue, settlements }) => ({ results: settlements.map((one) => this.settle(one, queue)) }),
      streamLease: (requests, { signal }) => new LeaseSession(this).run(requests, signal),
    });
  }
}

/** One StreamLease stream. */
export class LeaseSession {
  readonly #broker: FakeBroker;
  session = "";
  #queue = "";
  #credit = 0;
  #stopping = false;
  #draining = false;
  #out: MessageInitShape<typeof StreamLeaseResponseSchema>[] = [];
  #over = false;
  #failure: { readonly thrown: unknown } | undefined;

  constructor(broker: FakeBroker) {
    this.#broker = broker;
  }

  push(response: MessageInitShape<typeof StreamLeaseResponseSchema>): void {
    this.#out.push(response);
    this.#broker.changed();
  }

  async *run(
    requests: AsyncIterable<StreamLeaseRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<MessageInitShape<typeof StreamLeaseResponseSchema>> {
    void this.#read(requests);
    signal.addEventListener("abort", () => this.end(signal.reason));
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.thrown;
        const mayLease = this.#queue !== "" && !this.#draining;
        const messages = mayLease ? this.#broker.lease(this.#queue, this.#credit, this) : [];
        this.#credit -= messages.length;
        const out = this.#out.splice(0);
        // As the real broker: what a turn leases goes out with the answers of that turn.
        if (messages.length > 0) out.push({ ...out.pop(), messages });
        if (this.#stopping) out.push({ ...out.pop(), stopped: true });
        this.#stopping = false;
        yield* out;
        if (out.length > 0) continue;
        if (this.#over) return;
        await this.#broker.arrival();
      }
    } finally {
      this.#broker.abandon(this);
    }
  }

  async #read(requests: AsyncIterable<StreamLeaseRequest>): Promise<void> {
    try {
      for await (const request of requests) this.#take(request);
      this.#credit = 0;
      this.end(undefined);
    } catch (error) {
      this.end(error);
    }
  }

  drain(): void {
    this.#draining = true;
    this.push({ draining: true });
  }

  #take(request: StreamLeaseRequest): void {
    if (request.subscribe !== undefined) {
      const { queue, session } = request.subscribe;
      this.session = session;
      this.push({ subscribed: { visibilityTimeoutMs: 30_000n, adopted: this.#broker.adopt(queue, this) } });
      this.#broker.lease(queue, 0);
      this.#queue = queue;
    }
    this.#credit += request.credit;
    if (request.settlements.length > 0) this.#settle(request);
    if (request.stop) {
      this.#credit = 0;
      this.#stopping = true;
    }
    this.#broker.changed();
  }

  #settle({ settlementFrame, settlements }: StreamLeaseRequest): void {
    if (!this.#broker.answers && !this.#broker.doneUnanswered) return;
    const results = settlements.map((one) => this.#broker.settle(one, this.#queue));
    if (this.#broker.answers) this.push({ settled: [toResults(settlementFrame, results)] });
  }

  end(failure: unknown): void {
    this.#over = true;
    if (failure !== undefined) this.#failure ??= { thrown: failure };
    this.#broker.changed();
  }
}

function toResults(settlementFrame: bigint, results: MessageInitShape<typeof SettleResultSchema>[]) {
  return {
    settlementFrame,
    failures: results.flatMap(({ error }, index) => (error === undefined ? [] : [{ index, error }])),
    extended: results.flatMap(({ leaseExpiresAt }, index) =>
      leaseExpiresAt === undefined ? [] : [{ index, leaseExpiresAt }],
    ),
  };
}

function toLeased({ id, request, attempts, lease }: Stored, queue: string): LeasedMessage {
  return create(LeasedMessageSchema, {
    message: {
      id,
      headers: request.headers,
      payload: request.payload,
      metadata: {
        fairnessKey: request.fairnessKey === "" ? "default" : request.fairnessKey,
        weight: request.weight ?? 1,
        throttleKeys: request.throttleKeys,
        attemptCount: attempts,
        queueId: queue,
      },
      timestamps: { enqueuedAt: timestampFromMs(1_700_000_000_123), leasedAt: timestampFromMs(1_700_000_001_456) },
    },
    leaseToken: lease?.token ?? new Uint8Array(0),
    leaseExpiresAt: timestampFromMs(1_700_000_031_456),
  });
}
