// Two ways to drive StreamLease through a Connect client: take what comes, ack it at once.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction, SettlementResultsSchema, SubscriptionSchema } from "@fila/sdk/gen";
import type { SettlementResults, StreamLeaseRequestSchema, StreamLeaseResponse } from "@fila/sdk/gen";
import { FilaServiceAsBytes } from "./bodies-as-bytes.ts";
import { connectTransport } from "./transports.ts";
import { ackTail, settlementOf } from "./wire-bytes.ts";
import type { SettlementTail } from "./wire-bytes.ts";

export interface LeaseClient<Request, Response> {
  open(requests: AsyncIterable<Request>): AsyncIterable<Response>;
  subscribe(credit: number): Request;
  delivered(response: Response): number;
  /** Settles all that was delivered (by an ack, unless the client was made otherwise), and asks for as many again. */
  acks(response: Response): Request;
  /** How many settlements the response says are done. Throws when one is not. */
  acked(response: Response): number;
}

/** Results name the frame of settlements, not their number. */
class SettlementFrames {
  #last = 0n;
  readonly #sizes = new Map<bigint, number>();

  next(size: number): bigint {
    this.#sizes.set(++this.#last, size);
    return this.#last;
  }

  done({ settlementFrame, failures }: SettlementResults): number {
    if (failures.length > 0) throw new Error(`not settled: ${JSON.stringify(failures[0]?.error?.message)}`);
    const size = this.#sizes.get(settlementFrame);
    if (size === undefined) throw new Error(`no settlements were sent as frame ${settlementFrame}`);
    this.#sizes.delete(settlementFrame);
    return size;
  }
}

type GeneratedRequest = MessageInitShape<typeof StreamLeaseRequestSchema>;

/** The generated code as it is. */
export function generatedLeaseClient(url: string, queue: string): LeaseClient<GeneratedRequest, StreamLeaseResponse> {
  const client = createClient(FilaService, connectTransport(url));
  const frames = new SettlementFrames();
  return {
    open: (requests) => client.streamLease(requests),
    subscribe: (credit) => ({ subscribe: { queue }, credit }),
    delivered: ({ messages }) => messages.length,
    acks: ({ messages }) => ({
      credit: messages.length,
      settlementFrame: frames.next(messages.length),
      settlements: messages.map(({ message, leaseToken }) => ({
        messageId: message!.id,
        leaseToken,
        action: SettlementAction.ACK,
      })),
    }),
    acked({ settled, lost }) {
      if (lost.length > 0) throw new Error("a lease was lost");
      return settled.reduce((sum, results) => sum + frames.done(results), 0);
    },
  };
}

interface BytesRequest {
  subscribe?: Uint8Array;
  credit: number;
  settlementFrame?: bigint;
  settlements?: Uint8Array[];
}
interface BytesResponse {
  messages: Uint8Array[];
  settled: Uint8Array[];
  lost: Uint8Array[];
}

/** Deliveries and settlements as bytes. */
export function bytesLeaseClient(
  url: string,
  queue: string,
  how: SettlementTail = ackTail,
): LeaseClient<BytesRequest, BytesResponse> {
  const client = createClient(FilaServiceAsBytes, connectTransport(url));
  const frames = new SettlementFrames();
  return {
    open: (requests) => client.streamLease(requests),
    subscribe: (credit) => ({
      subscribe: toBinary(SubscriptionSchema, create(SubscriptionSchema, { queue })),
      credit,
    }),
    delivered: ({ messages }) => messages.length,
    acks: ({ messages }) => ({
      credit: messages.length,
      settlementFrame: frames.next(messages.length),
      settlements: messages.map((leased) => settlementOf(leased, how)),
    }),
    acked({ settled, lost }) {
      if (lost.length > 0) throw new Error("a lease was lost");
      return settled.reduce((sum, results) => sum + frames.done(fromBinary(SettlementResultsSchema, results)), 0);
    },
  };
}
