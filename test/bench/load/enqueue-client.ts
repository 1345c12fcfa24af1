// Two ways to drive StreamEnqueue through a Connect client, with the same messages.
import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { FilaService } from "@fila/sdk/gen";
import type { StreamEnqueueRequest, StreamEnqueueResponse } from "@fila/sdk/gen";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StreamEnqueueRequestSchema } from "@fila/sdk/gen";
import { cycle, makePayloads } from "../payloads.ts";
import { FilaServiceAsBytes } from "./bodies-as-bytes.ts";
import { connectTransport } from "./transports.ts";
import { assertStored, enqueueBody, withIdempotencyKey } from "./wire-bytes.ts";

export interface EnqueueClient<Request, Response> {
  open(requests: AsyncIterable<Request>): AsyncIterable<Response>;
  /** The next frame, of `size` messages. */
  frame(size: number): Request;
  /** How many messages the response says are stored. Throws when one is not. */
  stored(response: Response): number;
}

/** `keys`: how many fairness keys the messages go round; 0 = none is named. */
export interface EnqueueTarget {
  readonly url: string;
  readonly queue: string;
  readonly keys: number;
  /** What each message says besides. Of the client of bytes only. */
  readonly also?: { readonly delayMs?: bigint };
  /** Each message has the headers of this many tenants in turn: four of them, two of which a script may want. Of the client
   * of bytes only. */
  readonly tenants?: number;
  /** They name themselves what a script would make of these headers. */
  readonly decided?: boolean;
  /** Each message has an idempotency key of its own, of 36 bytes. Of the client of bytes only. */
  readonly idempotent?: boolean;
}

/** All of one length, so that no number of keys makes messages longer. */
export function fairnessKeyOf(at: number, keys: number): string {
  return keys === 0 ? "" : `tenant-${String(at % keys).padStart(6, "0")}`;
}

function headersOf(at: number, tenants: number): Record<string, string> {
  if (tenants === 0) return {};
  return {
    tenant: `tenant-${at % tenants}`,
    provider: `smtp-${at % 5}`,
    "content-type": "application/json",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
}

function decisionOf(at: number, tenants: number): { readonly weight: number; readonly throttleKeys: string[] } {
  const tenant = at % tenants;
  return { weight: (tenant % 9) + 1, throttleKeys: [`provider:smtp-${at % 5}`, `tenant:tenant-${tenant}`] };
}

type GeneratedFrame = MessageInitShape<typeof StreamEnqueueRequestSchema>;

/** The generated code as it is. */
export function generatedEnqueueClient({
  url,
  queue,
  keys,
}: EnqueueTarget): EnqueueClient<GeneratedFrame, StreamEnqueueResponse> {
  const client = createClient(FilaService, connectTransport(url));
  const next = cycle(makePayloads().map((payload, at) => ({ payload, fairnessKey: fairnessKeyOf(at, keys) })));
  let frame = 0n;
  return {
    open: (requests) => client.streamEnqueue(requests),
    frame: (size) => ({ frame: ++frame, queue, messages: Array.from({ length: size }, next) }),
    stored({ results }) {
      for (const { result } of results)
        if (result.case !== "messageId") throw new Error(`not stored: ${JSON.stringify(result.value)}`);
      return results.length;
    },
  };
}

type BytesFrame = Pick<StreamEnqueueRequest, "frame" | "queue"> & { messages: Uint8Array[] };

/** Bodies as bytes, encoded beforehand. */
export function bytesEnqueueClient({
  url,
  queue,
  keys,
  also = {},
  tenants = 0,
  decided = false,
  idempotent = false,
}: EnqueueTarget): EnqueueClient<BytesFrame, { results: Uint8Array[] }> {
  const client = createClient(FilaServiceAsBytes, connectTransport(url));
  const body = cycle(
    makePayloads().map((payload, at) =>
      enqueueBody({
        payload,
        fairnessKey: fairnessKeyOf(at, keys),
        headers: headersOf(at, tenants),
        ...(decided && decisionOf(at, tenants)),
        ...also,
      }),
    ),
  );
  const next = idempotent ? () => withIdempotencyKey(body(), randomUUID()) : body;
  let frame = 0n;
  return {
    open: (requests) => client.streamEnqueue(requests),
    frame: (size) => ({ frame: ++frame, queue, messages: Array.from({ length: size }, next) }),
    stored({ results }) {
      for (const result of results) assertStored(result);
      return results.length;
    },
  };
}
