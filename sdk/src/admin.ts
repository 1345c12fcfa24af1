// Operating queues.
import { createClient, type Client } from "@connectrpc/connect";
import { milliseconds, type Duration } from "./duration.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "./gen/grpc/health/v1/health_pb.ts";
import { FilaAdmin } from "./gen/index.ts";
import { checkQueueName, limits } from "./limits.ts";
import type { Connection } from "./transport/connection.ts";
import { retrying } from "./transport/retry.ts";

export interface CreateQueueOptions {
  /** How long a lease lasts, 1 s to 12 h. Default: 30 s. */
  readonly visibilityTimeout?: Duration | undefined;
}

/** One line of `listQueues`. */
export interface QueueSummary {
  readonly name: string;
  /** Messages not yet settled. */
  readonly depth: number;
  /** Messages leased. */
  readonly inFlight: number;
  readonly activeConsumers: number;
}

/** A fairness key of a queue. */
export interface FairnessKeyStats {
  readonly key: string;
  readonly pending: number;
  readonly deficit: number;
  readonly weight: number;
}

export interface QueueStats extends QueueSummary {
  readonly activeFairnessKeys: number;
  readonly visibilityTimeoutMs: number;
  /** The 100 keys with most pending messages. */
  readonly keys: readonly FairnessKeyStats[];
  /** There are more keys than `keys` shows. */
  readonly truncated: boolean;
}

/** "not_serving": it is stopping, or its store cannot be written. "unknown": it does not tell. */
export type HealthStatus = "serving" | "not_serving" | "unknown";

/** Every call rejects with FilaError: invalid_argument, unauthenticated, permission_denied, unavailable, ... */
export class Admin {
  readonly #connection: Connection;
  readonly #client: Client<typeof FilaAdmin>;
  readonly #health: Client<typeof Health>;
  readonly #timeoutMs: number;

  /** Made by `connect`. `timeoutMs` bounds each call. */
  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.#client = createClient(FilaAdmin, connection.unary);
    this.#health = createClient(Health, connection.unary);
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with already_exists QUEUE_EXISTS, invalid_argument INVALID_QUEUE_NAME. */
  async createQueue(name: string, options: CreateQueueOptions = {}): Promise<void> {
    checkQueueName(name);
    const ms = milliseconds(options.visibilityTimeout ?? 0, "visibilityTimeout", limits.visibilityTimeoutMs);
    await this.#call((call) => this.#client.createQueue({ name, config: { visibilityTimeoutMs: BigInt(ms) } }, call));
  }

  /** With all its messages. Rejects with not_found QUEUE_NOT_FOUND. */
  async deleteQueue(queue: string): Promise<void> {
    checkQueueName(queue);
    await this.#call((call) => this.#client.deleteQueue({ queue }, call));
  }

  /** All queues, by name; asks page by page. */
  async *listQueues(): AsyncGenerator<QueueSummary, void, undefined> {
    let cursor = "";
    do {
      const page = await this.#read((call) => this.#client.listQueues({ cursor }, call));
      for (const { name, depth, inFlight, activeConsumers } of page.queues) {
        yield { name, depth: Number(depth), inFlight: Number(inFlight), activeConsumers };
      }
      cursor = page.nextCursor;
    } while (cursor !== "");
  }

  /** Rejects with not_found QUEUE_NOT_FOUND. */
  async stats(queue: string): Promise<QueueStats> {
    checkQueueName(queue);
    const stats = await this.#read((call) => this.#client.getStats({ queue }, call));
    return {
      name: queue,
      depth: Number(stats.depth),
      inFlight: Number(stats.inFlight),
      activeConsumers: stats.activeConsumers,
      activeFairnessKeys: Number(stats.activeFairnessKeys),
      visibilityTimeoutMs: Number(stats.visibilityTimeoutMs),
      keys: stats.perKeyStats.map((key) => ({
        key: key.key,
        pending: Number(key.pendingCount),
        deficit: Number(key.currentDeficit),
        weight: key.weight,
      })),
      truncated: stats.truncated,
    };
  }

  /** Whether the broker takes and gives messages. Rejects with unavailable when nobody answers. */
  async health(): Promise<HealthStatus> {
    const { status } = await this.#call((call) => this.#health.check({}, call));
    if (status === Status.SERVING) return "serving";
    return status === Status.NOT_SERVING ? "not_serving" : "unknown";
  }

  /** What changes nothing may be asked again. */
  #read<T>(call: (options: { timeoutMs: number }) => Promise<T>): Promise<T> {
    return retrying(this.#connection, this.#timeoutMs, (timeoutMs) => call({ timeoutMs }));
  }

  async #call<T>(call: (options: { timeoutMs: number }) => Promise<T>): Promise<T> {
    try {
      this.#connection.assertOpen();
      return await call({ timeoutMs: this.#timeoutMs });
    } catch (error) {
      throw this.#connection.explain(error);
    }
  }
}
