// What a broker would do on the other end of FakeStreams, step by step: leases with tokens, credit, restarts.
import { Code } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SettlementAction, type Settlement } from "../gen/index.ts";
import { lostConnection, type FakeStream, type FakeStreams } from "./fake-streams.ts";

interface ModelMessage {
  readonly id: string;
  attempts: number;
  acked: boolean;
  /** `stream` undefined: an orphan, which its session may take up. */
  lease: { readonly token: string; stream: FakeStream | undefined } | undefined;
}

export class ModelBroker {
  readonly messages: ModelMessage[] = [];
  /** Tokens of acks that were done. */
  readonly acked = new Set<string>();
  readonly #streams: FakeStreams;
  draining = false;
  #subscribed: FakeStream | undefined;
  #credit = 0;
  #tokens = 0;

  constructor(streams: FakeStreams) {
    this.#streams = streams;
  }

  get done(): boolean {
    return this.messages.every(({ acked }) => acked);
  }

  /** A stream stands, and has been answered. */
  get connected(): boolean {
    return this.#subscribed !== undefined;
  }

  /** Unused credit of the stream that stands. */
  get credit(): number {
    return this.#credit;
  }

  enqueue(): void {
    this.messages.push({ id: `message-${this.messages.length}`, attempts: 0, acked: false, lease: undefined });
  }

  get #stream(): FakeStream | undefined {
    const { last } = this.#streams;
    return last.closed ? undefined : last;
  }

  /** Takes what came; `answers` false: it is done, and the answers are lost. */
  read(answers: boolean): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (stream !== this.#subscribed) this.#subscribe(stream);
    for (const { credit, stop, settlementFrame, settlements } of stream.requests.splice(0)) {
      this.#credit = stop || this.draining ? 0 : this.#credit + credit;
      const failures = settlements.flatMap((settlement, index) => {
        const error = { code: Code.FailedPrecondition, reason: "LEASE_LOST", message: "lost" };
        return this.#settle(settlement) ? [] : [{ index, error }];
      });
      if (!answers) continue;
      if (settlements.length > 0) stream.respond({ settled: [{ settlementFrame, failures }] });
      if (stop) stream.respond({ stopped: true });
    }
  }

  /** Leases as credit allows. */
  deliver(most: number): void {
    const stream = this.#subscribed;
    if (stream === undefined || stream.closed) return;
    const some = this.messages.filter(({ lease, acked }) => lease === undefined && !acked);
    const leased = some.slice(0, Math.min(most, this.#credit)).map((message) => {
      const token = String(this.#tokens++).padStart(8, "0");
      message.lease = { token, stream };
      const metadata = { attemptCount: message.attempts };
      const leaseExpiresAt = timestampFromMs(30_000);
      return { message: { id: message.id, metadata }, leaseToken: Buffer.from(token), leaseExpiresAt };
    });
    this.#credit -= leased.length;
    if (leased.length > 0) stream.respond({ messages: leased });
  }

  /** A lease expires; `tells` false: and nobody says so. */
  expire(which: number, tells: boolean): void {
    const leased = this.messages.filter(({ lease }) => lease !== undefined);
    const message = leased[which % Math.max(1, leased.length)];
    if (message?.lease === undefined) return;
    const { token, stream } = message.lease;
    message.lease = undefined;
    message.attempts++;
    const lost = [{ messageId: message.id, leaseToken: Buffer.from(token), reason: "EXPIRED" }];
    if (tells) stream?.respond({ lost });
  }

  /** Leases nothing more over this stream, which ends with the next `lose`. */
  drain(): void {
    if (this.#subscribed === undefined) return;
    this.draining = true;
    this.#credit = 0;
    this.#subscribed.respond({ draining: true });
  }

  /** The connection ends. `restart`: leases stand until they are taken up or given up. */
  lose(restart: boolean): void {
    const stream = this.#stream;
    this.#credit = 0;
    this.#subscribed = undefined;
    this.draining = false;
    for (const message of this.messages) {
      if (message.lease === undefined) continue;
      if (restart) {
        message.lease.stream = undefined;
      } else {
        message.lease = undefined;
        message.attempts++;
      }
    }
    stream?.close(lostConnection());
  }

  #subscribe(stream: FakeStream): void {
    this.#subscribed = stream;
    this.#credit = 0;
    const orphans = this.messages.filter(({ lease }) => lease !== undefined && lease.stream === undefined);
    for (const { lease } of orphans) lease!.stream = stream;
    const adopted = orphans.map(({ id, lease }) => ({ messageId: id, leaseToken: Buffer.from(lease!.token) }));
    stream.respond({ subscribed: { visibilityTimeoutMs: 30_000n, adopted } });
  }

  #settle({ messageId, leaseToken, action }: Settlement): boolean {
    const token = Buffer.from(leaseToken).toString();
    const message = this.messages.find(({ id }) => id === messageId);
    if (message?.lease?.token !== token) return action === SettlementAction.ACK && this.acked.has(token);
    if (action === SettlementAction.EXTEND) return true;
    message.lease = undefined;
    if (action === SettlementAction.NACK) message.attempts++;
    if (action === SettlementAction.ACK) {
      message.acked = true;
      this.acked.add(token);
    }
    return true;
  }
}
