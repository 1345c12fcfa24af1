// fila.v1.FilaService for the transports of the RPC library (JSON, HTTP/1, gRPC-Web). The methods themselves work on
// bytes and are the same for every transport; here messages become bytes and bytes become messages.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethodBiDiStreaming, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FilaService } from "@fila/sdk/gen";
import { callerKey } from "./access/caller.ts";
import type { Door } from "./hot/door.ts";
import type { StreamMethodName } from "./hot/stream-methods.ts";
import type { UnaryMethodName } from "./hot/unary-methods.ts";

export function messageService(door: Door): ServiceImpl<typeof FilaService> {
  return {
    enqueue: unary(door, FilaService.method.enqueue, "Enqueue"),
    batchEnqueue: unary(door, FilaService.method.batchEnqueue, "BatchEnqueue"),
    ack: unary(door, FilaService.method.ack, "Ack"),
    nack: unary(door, FilaService.method.nack, "Nack"),
    lease: unary(door, FilaService.method.lease, "Lease"),
    settle: unary(door, FilaService.method.settle, "Settle"),
    consume: (request, context) => stream(door, FilaService.method.consume, "Consume", only(request), context),
    streamEnqueue: bidi(door, FilaService.method.streamEnqueue, "StreamEnqueue"),
    streamLease: bidi(door, FilaService.method.streamLease, "StreamLease"),
  };
}

function unary<I extends DescMessage, O extends DescMessage>(
  door: Door,
  { input, output }: DescMethodUnary<I, O>,
  name: UnaryMethodName,
) {
  return async (request: MessageShape<I>, { values, signal }: HandlerContext): Promise<MessageShape<O>> => {
    try {
      return fromBinary(output, await door.unary(name, toBinary(input, request), values.get(callerKey), signal));
    } catch (error) {
      throw orWhyAborted(error, signal);
    }
  };
}

function bidi<I extends DescMessage, O extends DescMessage>(
  door: Door,
  method: DescMethodBiDiStreaming<I, O>,
  name: StreamMethodName,
) {
  return (requests: AsyncIterable<MessageShape<I>>, context: HandlerContext): AsyncIterable<MessageShape<O>> =>
    stream(door, method, name, requests, context);
}

async function* stream<I extends DescMessage, O extends DescMessage>(
  door: Door,
  { input, output }: { readonly input: I; readonly output: O },
  name: StreamMethodName,
  requests: AsyncIterable<MessageShape<I>>,
  { values, signal }: HandlerContext,
): AsyncIterable<MessageShape<O>> {
  try {
    const responses = door.stream(name, encoded(input, requests), values.get(callerKey), signal);
    for await (const response of responses) yield fromBinary(output, response);
  } catch (error) {
    throw orWhyAborted(error, signal);
  }
  // A stream that ended because its time was over ends with that error, not with an OK.
  if (signal.aborted) throw orWhyAborted(undefined, signal);
}

/** Once the client is gone, or out of time, that is the reason, whatever came of it in here. */
function orWhyAborted(error: unknown, signal: AbortSignal): Error {
  const why: unknown = signal.aborted ? signal.reason : error;
  return why instanceof Error ? why : new Error("aborted", { cause: why });
}

async function* encoded<I extends DescMessage>(
  input: I,
  requests: AsyncIterable<MessageShape<I>>,
): AsyncIterable<Uint8Array> {
  for await (const request of requests) yield toBinary(input, request);
}

async function* only<T>(value: T): AsyncIterable<T> {
  yield value;
}
