// A worker's end of one consumer, as a test plays it.
import type { SettleAction } from "../commands.ts";
import type { Delivery, Effect, LostLease } from "../effects.ts";
import type { Failure, Reason } from "../errors.ts";
import type { CoreDriver, Settling } from "./core-driver.ts";

export class ConsumerDriver {
  readonly id: number;
  readonly queue: string;
  readonly connection: number;
  readonly principal: string;
  readonly received: Delivery[] = [];
  readonly lost: LostLease[] = [];
  opened: Extract<Effect, { type: "opened" }> | undefined;
  ended: Failure | undefined;
  /** A poll was told that there is nothing for it now. */
  idle = false;
  stopped = false;
  /** Whether each delivery is written to the transport as it comes. */
  writes = true;
  readonly #driver: CoreDriver;
  #taken = 0;

  constructor(driver: CoreDriver, id: number, queue: string, connection: number, principal: string) {
    this.#driver = driver;
    this.id = id;
    this.queue = queue;
    this.connection = connection;
    this.principal = principal;
  }

  deliver(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      if (delivery.ordinal !== this.received.length + 1) throw new Error("ordinals count from 1 without a gap");
      this.received.push(delivery);
    }
  }

  /** What came since the last call; taken from the transport, so it is written. */
  take(): Delivery[] {
    const fresh = this.received.slice(this.#taken);
    this.#taken = this.received.length;
    if (fresh.length > 0 && this.writes) this.written(this.#taken);
    return fresh;
  }

  /** The one delivery that came since the last call. */
  takeOne(): Delivery {
    const fresh = this.take();
    const [only] = fresh;
    if (only === undefined || fresh.length > 1) throw new Error(`${fresh.length} deliveries, where one was expected`);
    return only;
  }

  /** Asks for so many more, and takes what comes. */
  pull(messages: number): Delivery[] {
    this.credit(messages);
    const taken = this.take();
    for (let more = this.take(); more.length > 0; more = this.take()) taken.push(...more);
    return taken;
  }

  credit(messages: number): void {
    this.#driver.run({ type: "credit", consumer: this.id, messages });
  }

  stop(): void {
    this.#driver.run({ type: "stop", consumer: this.id });
  }

  written(ordinal: number): void {
    this.#driver.run({ type: "written", consumer: this.id, ordinal });
  }

  close(written: number): void {
    this.#driver.run({ type: "close", consumer: this.id, written });
  }

  /** With the token of the delivery. */
  settle(delivery: Delivery, action: SettleAction, extendMs = 0): "OK" | number | Reason {
    const { queue, principal, connection } = this;
    return this.#driver.tell(delivery.id, action, { token: delivery.token, queue, principal, connection, extendMs });
  }

  /** A failure, with what the worker says of it and asks for. */
  nack(delivery: Delivery, says: Pick<Settling, "error" | "delayMs" | "deadLetter"> = {}): "OK" | number | Reason {
    const { queue, principal, connection } = this;
    return this.#driver.tell(delivery.id, "nack", { token: delivery.token, queue, principal, connection, ...says });
  }

  /** Without a token, as the clients of the fixed wire do. */
  settleBare(id: string, action: SettleAction): "OK" | number | Reason {
    const { queue, principal, connection } = this;
    return this.#driver.tell(id, action, { queue, principal, connection });
  }

  ackAll(deliveries: readonly Delivery[]): void {
    const { queue, principal, connection } = this;
    const items = deliveries.map(({ id, token }) => ({ id, token, action: "ack" as const, error: "", extendMs: 0 }));
    const refused = this.#driver
      .settleAll(items, { queue, principal, connection })
      .filter((each) => each !== undefined);
    if (refused.length > 0) throw new Error(`${refused.length} acks refused`);
  }
}
