// The other end of streams of leases without any transport: tests say what the broker answers, and when.
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FilaError } from "../errors.ts";
import {
  StreamLeaseRequestSchema,
  StreamLeaseResponseSchema,
  type SettlementAction,
  type Settlement,
  type StreamLeaseRequest,
} from "../gen/index.ts";
import type { OpenStream } from "../consuming/lease-stream.ts";
import type { MessageStream, StreamEvents } from "../transport/message-stream.ts";

/** A settlement with the frame that it came in. */
export interface Received {
  readonly frame: bigint;
  readonly index: number;
  readonly settlement: Settlement;
}

/** One stream, seen from the broker. */
export class FakeStream implements MessageStream {
  readonly #events: StreamEvents;
  readonly requests: StreamLeaseRequest[] = [];
  ended = false;
  closed = false;

  constructor(events: StreamEvents) {
    this.#events = events;
  }

  send(frame: Uint8Array): boolean {
    this.requests.push(fromBinary(StreamLeaseRequestSchema, frame.subarray(5)));
    return true;
  }

  end(): void {
    this.ended = true;
  }

  cancel(): void {
    this.close(new FilaError("canceled", "CLIENT_CLOSED", "canceled"));
  }

  /** All credit that came; what was granted before `stop` too. */
  get credit(): number {
    return this.requests.reduce((sum, { credit }) => sum + credit, 0);
  }

  get stop(): boolean {
    return this.requests.some(({ stop }) => stop);
  }

  settlements(): Received[] {
    return this.requests.flatMap(({ settlementFrame: frame, settlements }) =>
      settlements.map((settlement, index) => ({ frame, index, settlement })),
    );
  }

  /** Ids that so were settled. */
  settled(action: SettlementAction): string[] {
    return this.settlements()
      .filter(({ settlement }) => settlement.action === action)
      .map(({ settlement }) => settlement.messageId);
  }

  respond(response: MessageInitShape<typeof StreamLeaseResponseSchema>): void {
    this.respondInParts(response);
  }

  /** One response, as a long one comes. */
  respondInParts(...parts: MessageInitShape<typeof StreamLeaseResponseSchema>[]): void {
    for (const [at, part] of parts.entries()) {
      if (this.closed) return;
      const bytes = toBinary(StreamLeaseResponseSchema, create(StreamLeaseResponseSchema, part));
      this.#events.message(bytes, at === parts.length - 1);
    }
  }

  subscribe(visibilityTimeoutMs = 30_000, adopted: readonly string[] = []): void {
    this.respond({
      subscribed: {
        visibilityTimeoutMs: BigInt(visibilityTimeoutMs),
        adopted: adopted.map((id) => ({ messageId: id, leaseToken: tokenOf(id), leaseExpiresAt: timestampFromMs(1) })),
      },
    });
  }

  deliver(...ids: string[]): void {
    this.respond({
      messages: ids.map((id) => ({
        message: { id, payload: Buffer.from(id) },
        leaseToken: tokenOf(id),
        leaseExpiresAt: timestampFromMs(30_000),
      })),
    });
  }

  /** All frames so far that have no answer yet; `refuse` says which settlements fail. */
  answerAll(refuse: (received: Received) => { code: number; reason: string } | undefined = () => undefined): void {
    for (const { settlementFrame, settlements } of this.requests.splice(0)) {
      if (settlements.length === 0) continue;
      const failures = settlements.flatMap((settlement, index) => {
        const error = refuse({ frame: settlementFrame, index, settlement });
        return error === undefined ? [] : [{ index, error: { ...error, message: "refused" } }];
      });
      this.respond({ settled: [{ settlementFrame, failures }] });
    }
  }

  close(error: FilaError | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#events.closed(error);
  }
}

export class FakeStreams {
  readonly all: FakeStream[] = [];

  readonly open: OpenStream = (events) => {
    const stream = new FakeStream(events);
    this.all.push(stream);
    return stream;
  };

  get last(): FakeStream {
    return this.all[this.all.length - 1]!;
  }
}

/** A message is leased with the same token each time, unless its id says otherwise. */
export function tokenOf(id: string): Uint8Array {
  return Buffer.from(id.padEnd(8, ".")).subarray(0, 8);
}

/** Lets everything run that is due in this turn of the loop: promises, and frames that wait for the turn's end. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

export const lostConnection = (): FilaError => new FilaError("unavailable", "CONNECTION_LOST", "gone");
