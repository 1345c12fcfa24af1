// The hot methods for transports of the RPC library (JSON, HTTP/1, gRPC-Web, compression): the same code on the same
// bytes, so that no protocol has a behaviour of its own. It costs a message an extra coding each way.
import type { Caller } from "../access/caller.ts";
import { stopping } from "../wire/failure-wire.ts";
import type { WireFailure } from "../wire/failure-wire.ts";
import { asBuffer } from "../wire/wire-reader.ts";
import { envelopeBytes } from "./call.ts";
import type { MethodDeps, StreamHandler, StreamTransport } from "./call.ts";
import { streamMethods } from "./stream-methods.ts";
import type { StreamMethodName } from "./stream-methods.ts";
import { unaryMethods } from "./unary-methods.ts";
import type { UnaryMethodName } from "./unary-methods.ts";

/** What a call through the door rejects with. */
export class CallFailedError extends Error {
  override readonly name = "CallFailedError";
  readonly failure: WireFailure;

  constructor(failed: WireFailure) {
    super(failed.message);
    this.failure = failed;
  }
}

export class Door {
  readonly #deps: MethodDeps;
  readonly #streams = new Set<ResponseQueue>();
  #draining = false;

  constructor(deps: MethodDeps) {
    this.#deps = deps;
  }

  /**
   * @param request the request in wire form
   * @param signal aborts when the client is gone or out of time
   * @returns the response in wire form; rejects with CallFailedError
   */
  unary(method: UnaryMethodName, request: Uint8Array, caller: Caller, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const settled = (): void => signal.removeEventListener("abort", onAbort);
      const cancel = unaryMethods[method](this.#deps, asBuffer(request), caller, {
        message(answer, taken) {
          settled();
          // What becomes of the answer behind this promise is not known here; a client that is gone already is.
          taken?.(!signal.aborted);
          resolve(answer.subarray(envelopeBytes));
        },
        failure(failed) {
          settled();
          reject(new CallFailedError(failed));
        },
      });
      function onAbort(): void {
        cancel?.();
        // What the library says of it: gone, or out of time.
        reject(signal.reason as Error);
      }
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /**
   * A response counts as written when the next one is asked for. Consume yields one empty response at its opening: the
   * library sends response headers with the first response only.
   */
  async *stream(
    method: StreamMethodName,
    requests: AsyncIterable<Uint8Array>,
    caller: Caller,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    const queue = new ResponseQueue(method === "Consume");
    const handler = streamMethods[method](this.#deps, caller, queue);
    queue.handler = handler;
    this.#streams.add(queue);
    const onAbort = (): void => queue.fail(signal.reason);
    // It may be over already: the library waits for the request of Consume, however late it comes.
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const stopWatching = caller.watch(() => {
      if (!queue.over) handler.accessChanged();
    });
    if (this.#draining && !queue.over) handler.drain();
    void feed(requests, handler, queue);
    try {
      yield* queue.responses();
    } finally {
      signal.removeEventListener("abort", onAbort);
      stopWatching();
      queue.close();
      this.#streams.delete(queue);
    }
  }

  drain(): void {
    this.#draining = true;
    for (const queue of this.#streams) queue.handler?.drain();
  }

  stop(): void {
    for (const queue of this.#streams) {
      queue.handler?.gone();
      queue.end(stopping());
    }
  }
}

async function feed(requests: AsyncIterable<Uint8Array>, handler: StreamHandler, queue: ResponseQueue): Promise<void> {
  try {
    for await (const request of requests) {
      if (queue.over) return;
      handler.message(asBuffer(request));
      await queue.whenResumed();
      // The library may hold many frames already, which cost it and us far more as JSON than they did the client: others
      // are heard between them.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!queue.isOver()) handler.inputEnded();
  } catch (error) {
    // The library could not read the body: its own error is the best answer.
    queue.fail(error);
  }
}

/** States: live → ended (by the handler, with or without a failure) | closed (the reader left). */
class ResponseQueue implements StreamTransport {
  handler: StreamHandler | undefined = undefined;
  over = false;
  #left = false;
  #error: unknown = undefined;
  readonly #waiting: { readonly response: Buffer; readonly taken: (() => void) | undefined }[] = [];
  #wake: (() => void) | undefined = undefined;
  #paused: { readonly promise: Promise<unknown>; resolve(value?: unknown): void } | undefined = undefined;
  readonly #emptyFirst: boolean;

  constructor(emptyFirst: boolean) {
    this.#emptyFirst = emptyFirst;
  }

  async *responses(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        yield next.response;
        next.taken?.();
      } else if (this.over) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    // Mostly an Error; what a client's library aborted with is passed on as it is.
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- see above
    if (this.#error !== undefined && !this.#left) throw this.#error;
  }

  isOver(): boolean {
    return this.over;
  }

  opened(): void {
    if (this.#emptyFirst) this.#push(Buffer.alloc(0), undefined);
  }

  write(responses: Buffer, taken: () => void): void {
    for (let at = 0; at < responses.length;) {
      const end = at + envelopeBytes + responses.readUInt32BE(at + 1);
      this.#push(responses.subarray(at + envelopeBytes, end), end === responses.length ? taken : undefined);
      at = end;
    }
  }

  #push(response: Buffer, taken: (() => void) | undefined): void {
    if (this.over) return;
    this.#waiting.push({ response, taken });
    this.#wake?.();
  }

  end(failed: WireFailure | undefined): void {
    if (this.over) return;
    this.over = true;
    if (failed !== undefined) this.#error = new CallFailedError(failed);
    this.resume();
    this.#wake?.();
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.handler?.gone();
    this.over = true;
    this.#error = error;
    this.resume();
    this.#wake?.();
  }

  /** The reader is gone. */
  close(): void {
    this.#left = true;
    if (this.over) return;
    this.over = true;
    this.#waiting.length = 0;
    this.handler?.gone();
    this.resume();
    this.#wake?.();
  }

  pause(): void {
    this.#paused ??= Promise.withResolvers<unknown>();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  whenResumed(): Promise<unknown> | undefined {
    return this.#paused?.promise;
  }
}
