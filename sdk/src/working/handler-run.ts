// One message and the handler that works on it.
import { decodePayload, type Codec } from "../codec.ts";
import { milliseconds, type Duration } from "../duration.ts";
import { FilaError, textOf, type LeaseLost } from "../errors.ts";
import { limits } from "../limits.ts";
import type { HeldLease, LossWatcher } from "../consuming/held-lease.ts";
import { orderOf, toDeadLetters } from "../consuming/nack.ts";
import type { SettlementSink } from "../consuming/settlement.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { LeasedInfo, LeasedMessage, type Handler, type HandlerContext, type MessageInfo } from "./handler.ts";

/** What runs tell, and what they share. */
export interface RunOwner<T> {
  readonly codec: Codec<T>;
  readonly handler: Handler<T>;
  readonly heartbeat: Heartbeat;
  /** The handler is done, in whatever way. */
  handled(run: HandlerRun<T>): void;
  /** What the user is to be told of. */
  troubled(error: unknown, message: MessageInfo): void;
}

/**
 * running ─handler returned─▶ acking, ─handler threw─▶ nacking, ─lease lost─▶ lost, ─stopped by the worker─▶ given up;
 * acking, nacking ─answer─▶ over, ─refused─▶ over, the user told. Lost or given up, what the handler does changes nothing.
 * Never: a settlement after another one or after a loss; a rejection that nobody handles.
 */
export class HandlerRun<T> implements SettlementSink, LossWatcher {
  readonly held: HeldLease;
  readonly #owner: RunOwner<T>;
  #running = true;
  #givenUp = false;
  #message: MessageInfo | undefined;
  #abort: AbortController | undefined;
  #reason: FilaError | undefined;

  constructor(held: HeldLease, owner: RunOwner<T>) {
    this.held = held;
    this.#owner = owner;
    // A loss after the handler returned is told by `refused`.
    held.onLost = this;
  }

  /** Calls the handler. Never throws. */
  start(): void {
    const { codec, handler } = this.#owner;
    const { id, payload } = this.held.delivery;
    let message: LeasedMessage<T>;
    try {
      message = new LeasedMessage(this.held, decodePayload(codec, id, payload));
    } catch (error) {
      // The one place where a payload that nobody can read is turned away: another attempt would not read it either.
      return this.#threw(error, toDeadLetters);
    }
    this.#message = message;
    let pending: Promise<void> | undefined;
    try {
      const returned = handler(message, new Context(this));
      // A promise of Node's passes as it is; any other thenable is tamed. Looking for its "then" may throw as well.
      if (isThenable(returned)) pending = Promise.resolve(returned);
    } catch (error) {
      return this.#threw(error);
    }
    if (pending === undefined) return this.#returned();
    pending.then(
      () => this.#returned(),
      (error: unknown) => this.#threw(error),
    );
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  async extend(duration: Duration = 0): Promise<Date> {
    const extendMs = milliseconds(duration, "duration", limits.visibilityTimeoutMs);
    if (this.#reason !== undefined) throw this.#reason;
    if (!this.#running) {
      const message = `extend after the handler of message ${this.held.delivery.id} was done`;
      throw new FilaError("failed_precondition", "ALREADY_SETTLED", message);
    }
    await new Promise<number | undefined>((settled, refused) => {
      this.#owner.heartbeat.extend(this.held, extendMs, { settled, refused });
    });
    return new Date(this.held.expiresAtMs);
  }

  /** The worker's drain time is over: aborts the signal, and nacks or leaves the lease. */
  giveUp(reason: FilaError, nack: boolean): void {
    if (!this.#running || this.#givenUp) return;
    this.#givenUp = true;
    if (this.held.state === "held" && nack) this.held.end("nack", reason.message, this);
    this.#abortWith(reason);
  }

  /** The broker has the ack or nack. */
  settled(): void {}

  /** The ack or nack is refused. */
  refused(error: FilaError): void {
    this.#trouble(error);
  }

  #returned(): void {
    if (this.held.state === "held" && !this.#givenUp) this.held.end("ack", "", this);
    this.#done();
  }

  #threw(error: unknown, nack = orderOf(error)): void {
    // Of a loss the user was told, and the handler's error most likely says the same.
    if (this.held.state === "held" && !this.#givenUp) {
      this.held.end("nack", textOf(error), this, nack);
      this.#trouble(error);
    }
    this.#done();
  }

  #done(): void {
    this.#running = false;
    // Nothing of it is kept until the ack is answered, but what `#trouble` may need.
    this.#message = undefined;
    this.#owner.handled(this);
  }

  lost(why: LeaseLost): void {
    // Whose ack is refused for it is told by the refusal.
    if (this.held.ending === undefined && !this.#givenUp) this.#trouble(why);
    this.#abortWith(why);
  }

  #trouble(error: unknown): void {
    this.#owner.troubled(error, (this.#message ??= new LeasedInfo(this.held)));
  }

  #abortWith(reason: FilaError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#abort?.abort(reason);
  }
}

/** What a handler gets of its run, and may take apart. */
class Context<T> implements HandlerContext {
  readonly #run: HandlerRun<T>;

  constructor(run: HandlerRun<T>) {
    this.#run = run;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get extend(): HandlerContext["extend"] {
    return (duration) => this.#run.extend(duration);
  }
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
