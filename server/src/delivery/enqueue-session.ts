import type { Broker } from "../broker/contract.ts";
import type { EnqueueItem } from "../core/commands.ts";
import type { EnqueueOutcome } from "../core/effects.ts";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";
import { FramesUnderWay } from "./frames-under-way.ts";
import { outcomesOf } from "./partial-frame.ts";
import type { PartialFrame } from "./partial-frame.ts";
import type { StreamIntake } from "./stream-intake.ts";
import { TurnFlush } from "./turn-flush.ts";

/** Where an EnqueueSession speaks to its client. */
export interface EnqueueOut<Frame> extends StreamIntake {
  /** Results of one frame, one per message. Frames come in their order. Goes out with the next flush. */
  results(frame: Frame, outcomes: readonly EnqueueOutcome[]): void;
  /** Writes what was gathered. `taken` when the transport has it. */
  flush(taken: () => void): void;
  end(failed: Failure | undefined): void;
}

/**
 * The producer's side of StreamEnqueue.
 *
 * States: open → ending → ended.
 * open: frames are taken. Left when the client has sent its last one, breaks the protocol, or the server drains.
 * ending: no frame is taken; those under way get their results, then the stream ends, with the failure if there is one.
 * ended: nothing is written any more. A client that is gone leads here from everywhere; what it had under way is stored
 * nevertheless.
 * Never: a result before its turn; an end before the results of what was accepted.
 */
export class EnqueueSession<Frame extends PartialFrame<EnqueueItem>> {
  #state: "open" | "ending" | "ended" = "open";
  #failure: Failure | undefined = undefined;
  readonly #broker: Broker;
  readonly #out: EnqueueOut<Frame>;
  readonly #underWay: FramesUnderWay<Frame, readonly EnqueueOutcome[]>;
  readonly #flush: TurnFlush;

  constructor(broker: Broker, out: EnqueueOut<Frame>) {
    this.#broker = broker;
    this.#out = out;
    this.#flush = new TurnFlush(() => {
      if (this.#state !== "ended") out.flush(this.#underWay.flushed());
    });
    this.#underWay = new FramesUnderWay(out, (frame, outcomes) => {
      if (this.#state === "ended") return;
      out.results(frame, outcomes);
      this.#flush.soon();
    });
  }

  /** @param bytes length of the frame on the wire */
  frame(frame: Frame, bytes: number): void {
    if (this.#state !== "open") return;
    const done = this.#underWay.begin(frame, bytes);
    if (frame.items.length === 0) done(outcomesOf(frame, []));
    else {
      this.#broker.enqueue(frame.items, (outcomes) => {
        done(outcomesOf(frame, outcomes));
        this.#endWhenIdle();
      });
    }
  }

  inputEnded(): void {
    this.#begin(undefined);
  }

  /** The client broke the protocol. */
  refuse(failed: Failure): void {
    this.#begin(failed);
  }

  /** The server is about to stop. */
  drain(): void {
    this.#begin(failure("DRAINING", "the broker is about to stop; connect again", { retryAfterMs: 1000 }));
  }

  gone(): void {
    this.#state = "ended";
    this.#flush.cancel();
  }

  #begin(failed: Failure | undefined): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#failure = failed;
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#state !== "ending" || !this.#underWay.idle) return;
    this.#flush.now();
    this.#state = "ended";
    this.#out.end(this.#failure);
  }
}
