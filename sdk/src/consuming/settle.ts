// Settlements by the unary Settle: those of one queue that are made together share a call.
import { createClient, type Client } from "@connectrpc/connect";
import { FilaError, errorFromItem } from "../errors.ts";
import { FilaService, type SettleResult } from "../gen/index.ts";
import type { Connection } from "../transport/connection.ts";
import { retrying } from "../transport/retry.ts";
import { wireAction, type Settlement, type Settler } from "./settlement.ts";

const maximumPerCall = 1000;

/** Settles leases that no stream holds. Calls in the same tick share a request per queue. */
export class UnarySettler implements Settler {
  readonly #connection: Connection;
  readonly #client: Client<typeof FilaService>;
  readonly #timeoutMs: number;
  /** By queue. */
  #waiting = new Map<string, Settlement[]>();

  /** `timeoutMs` bounds each call. */
  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.#client = createClient(FilaService, connection.unary);
    this.#timeoutMs = timeoutMs;
  }

  settle(settlement: Settlement): void {
    if (this.#waiting.size === 0) queueMicrotask(() => this.#flush());
    const together = this.#waiting.get(settlement.queue) ?? [];
    this.#waiting.set(settlement.queue, together);
    together.push(settlement);
  }

  #flush(): void {
    const all = this.#waiting;
    this.#waiting = new Map();
    for (const [queue, waiting] of all) {
      for (let i = 0; i < waiting.length; i += maximumPerCall) {
        void this.#call(queue, waiting.slice(i, i + maximumPerCall));
      }
    }
  }

  /** Sent again when it is not known what became of it: a settlement that was done is answered OK once more. Never rejects. */
  async #call(queue: string, batch: readonly Settlement[]): Promise<void> {
    const settlements = batch.map(({ lease, action, error, nack, extendMs }) => ({
      messageId: lease.id,
      leaseToken: lease.token,
      action: wireAction[action],
      error,
      extendMs: BigInt(extendMs),
      ...(nack?.delayMs !== undefined && { retryDelayMs: BigInt(nack.delayMs) }),
      deadLetter: nack?.deadLetter ?? false,
    }));
    try {
      const { results } = await retrying(this.#connection, this.#timeoutMs, (timeoutMs) =>
        this.#client.settle({ queue, settlements }, { timeoutMs }),
      );
      batch.forEach((settlement, i) => answer(settlement, results[i]));
    } catch (error) {
      const failure = FilaError.from(error);
      for (const { sink } of batch) sink.refused(failure);
    }
  }
}

function answer({ sink }: Settlement, result: SettleResult | undefined): void {
  if (result === undefined) {
    sink.refused(
      new FilaError("internal", "PROTOCOL_ERROR", "the answer has fewer results than settlements were sent"),
    );
  } else if (result.error !== undefined) {
    sink.refused(errorFromItem(result.error.code, result.error.reason, result.error.message));
  } else {
    const end = result.leaseExpiresAt;
    sink.settled(end === undefined ? undefined : Number(end.seconds) * 1000 + end.nanos / 1e6);
  }
}
