// Settlements by the unary Settle: those of one queue that are made together share a call.
import { createClient, type Client } from "@connectrpc/connect";
import { FilaError, errorFromItem } from "../errors.ts";
import { FilaService, SettlementAction as WireAction, type SettleResult } from "../gen/index.ts";
import type { Connection } from "../transport/connection.ts";
import type { PendingSettlement, SettlementAction, Settler } from "./lease.ts";

const maximumPerCall = 1000;

/** The actions as the wire numbers them. */
export const wireAction: Readonly<Record<SettlementAction, WireAction>> = {
  ack: WireAction.ACK,
  nack: WireAction.NACK,
  extend: WireAction.EXTEND,
  release: WireAction.RELEASE,
};

interface Waiting {
  readonly settlement: PendingSettlement;
  readonly resolve: (expiresAtMs: number | undefined) => void;
  readonly reject: (error: FilaError) => void;
}

/** Settles leases that no stream holds. Calls in the same tick share a request per queue. */
export class UnarySettler implements Settler {
  readonly #connection: Connection;
  readonly #client: Client<typeof FilaService>;
  readonly #timeoutMs: number;
  /** By queue. */
  #waiting = new Map<string, Waiting[]>();

  /** `timeoutMs` bounds each call. */
  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.#client = createClient(FilaService, connection.unary);
    this.#timeoutMs = timeoutMs;
  }

  settle(settlement: PendingSettlement): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) queueMicrotask(() => this.#flush());
      const together = this.#waiting.get(settlement.queue) ?? [];
      this.#waiting.set(settlement.queue, together);
      together.push({ settlement, resolve, reject });
    });
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

  /** Never rejects. */
  async #call(queue: string, batch: readonly Waiting[]): Promise<void> {
    try {
      this.#connection.assertOpen();
      const { results } = await this.#client.settle(
        {
          queue,
          settlements: batch.map(({ settlement }) => ({
            messageId: settlement.id,
            leaseToken: settlement.token,
            action: wireAction[settlement.action],
            error: settlement.error,
            extendMs: BigInt(settlement.extendMs),
          })),
        },
        { timeoutMs: this.#timeoutMs },
      );
      batch.forEach((waiting, i) => answer(waiting, results[i]));
    } catch (error) {
      const failure = this.#connection.explain(error);
      for (const { reject } of batch) reject(failure);
    }
  }
}

function answer(waiting: Waiting, result: SettleResult | undefined): void {
  if (result === undefined) {
    waiting.reject(
      new FilaError("internal", "PROTOCOL_ERROR", "the answer has fewer results than settlements were sent"),
    );
  } else if (result.error !== undefined) {
    waiting.reject(errorFromItem(result.error.code, result.error.reason, result.error.message));
  } else {
    const end = result.leaseExpiresAt;
    waiting.resolve(end === undefined ? undefined : Number(end.seconds) * 1000 + end.nanos / 1e6);
  }
}
