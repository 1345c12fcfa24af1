// StreamLease as the wire has it, without the conveniences of the SDK: every answer can be looked at.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, ConnectError } from "@connectrpc/connect";
import {
  type AdoptedLease,
  type FilaService,
  type LeaseLost,
  type LeasedMessage,
  SettlementAction,
  type SettlementFailure,
  type SettlementResults,
  type StreamLeaseRequestSchema,
  type StreamLeaseResponse,
  type SubscriptionSchema,
} from "@fila/sdk/gen";

type Request = MessageInitShape<typeof StreamLeaseRequestSchema>;
/** What a settlement has to name. */
export type Held = Pick<LeasedMessage, "leaseToken"> & { readonly message?: { readonly id: string } | undefined };

export class WorkerStream {
  readonly messages: LeasedMessage[] = [];
  readonly lost: LeaseLost[] = [];
  adopted: readonly AdoptedLease[] | undefined;
  draining = false;
  /** The error that the stream ended with; undefined: none. */
  readonly ended: Promise<ConnectError | undefined>;
  #over = false;
  #frame = 0;
  readonly #results = new Map<number, SettlementResults>();
  readonly #requests: Request[] = [];
  #inputEnded = false;
  #sent: (() => void) | undefined;
  #received = Promise.withResolvers<undefined>();
  readonly #abort = new AbortController();

  constructor(
    client: Client<typeof FilaService>,
    subscribe: MessageInitShape<typeof SubscriptionSchema>,
    credit: number,
  ) {
    this.send({ subscribe, credit });
    this.ended = this.#read(client.streamLease(this.#outgoing(), { signal: this.#abort.signal }));
  }

  send(request: Request): void {
    this.#requests.push(request);
    this.#sent?.();
  }

  /** Lets `until` look at its condition although no answer came. */
  lookAgain(): void {
    const told = this.#received;
    this.#received = Promise.withResolvers();
    told.resolve(undefined);
  }

  /** Resolves when the condition holds; it is looked at after each answer. Rejects when the stream ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#over) throw new Error("the stream ended before", { cause: await this.ended });
      await this.#received.promise;
    }
  }

  /** So many messages in all. */
  async holds(count: number): Promise<readonly LeasedMessage[]> {
    await this.until(() => this.messages.length >= count);
    return this.messages;
  }

  /** Sends one frame of settlements; resolves with those that failed. */
  async settle(action: keyof typeof SettlementAction, leases: readonly Held[]): Promise<SettlementFailure[]> {
    const frame = ++this.#frame;
    const settlements = leases.map(({ message, leaseToken }) => ({
      messageId: message?.id ?? "",
      leaseToken,
      action: SettlementAction[action],
    }));
    this.send({ settlementFrame: BigInt(frame), settlements });
    await this.until(() => this.#results.has(frame));
    return this.#results.get(frame)!.failures;
  }

  /** The worker has nothing more to say. */
  end(): void {
    this.#inputEnded = true;
    this.#sent?.();
  }

  /** Resets the stream, as a worker that is gone. */
  async cancel(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }

  async *#outgoing(): AsyncGenerator<Request> {
    for (;;) {
      const next = this.#requests.shift();
      if (next !== undefined) yield next;
      else if (this.#inputEnded || this.#abort.signal.aborted) return;
      else await new Promise<void>((resolve) => (this.#sent = resolve));
    }
  }

  async #read(responses: AsyncIterable<StreamLeaseResponse>): Promise<ConnectError | undefined> {
    try {
      for await (const response of responses) this.#take(response);
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    } finally {
      this.#over = true;
      this.#received.resolve(undefined);
    }
  }

  #take({ subscribed, messages, settled, lost, draining }: StreamLeaseResponse): void {
    if (subscribed !== undefined) this.adopted = subscribed.adopted;
    this.messages.push(...messages);
    this.lost.push(...lost);
    for (const results of settled) this.#results.set(Number(results.settlementFrame), results);
    if (draining) this.draining = true;
    this.lookAgain();
  }
}
