import { constants } from "node:http2";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { codeOf, deadlineExceeded } from "../wire/failure-wire.ts";
import type { WireFailure } from "../wire/failure-wire.ts";
import type { UnaryMethod, UnaryReply } from "./call.ts";
import { envelopeBytes } from "./call.ts";
import { EnvelopeReader, requestTooLarge, truncated } from "./envelope-reader.ts";
import { GrowingBytes } from "./growing-bytes.ts";
import { closeRequestHalf, isOver, sendTrailers } from "./http2-call.ts";
import type { CallContext, CallStart, Http2Call } from "./http2-call.ts";
import { respondFailure } from "./protocols.ts";

const okTrailers = { "grpc-status": "0" };
const canceled = 1;

/**
 * One unary call over HTTP/2, by hand.
 *
 * States: reading → deciding → answered → over.
 * reading: the body comes in; left by its end, or answered at once when it is wrong or the deadline passes.
 * deciding: the method has the request; left by its reply or by the deadline.
 * over: the stream is closed. From reading and deciding that means the client is gone, which the method is told.
 */
export class UnaryCall implements Http2Call, UnaryReply {
  #state: "reading" | "deciding" | "answered" | "over" = "reading";
  #code = canceled;
  #cancel: (() => void) | undefined = undefined;
  #taken: ((written: boolean) => void) | undefined = undefined;
  #deadline: NodeJS.Timeout | undefined = undefined;
  readonly #startedAt: number;
  readonly #context: CallContext;
  readonly #start: CallStart;
  readonly #method: UnaryMethod;

  constructor(context: CallContext, start: CallStart, method: UnaryMethod) {
    this.#context = context;
    this.#start = start;
    this.#method = method;
    this.#startedAt = context.onCall === undefined ? 0 : performance.now();
    context.active.add(this);
    const { stream } = start;
    stream.on("close", () => this.#closed());
    const timeoutMs = start.protocol.timeoutMs(start.headers, context.hotLimits.maxTimeoutMs);
    if (typeof timeoutMs === "object") {
      this.failure(timeoutMs);
      return;
    }
    if (timeoutMs !== undefined) this.#deadline = setTimeout(() => this.#tooLate(), timeoutMs);
    if (start.protocol.enveloped) this.#readEnvelope();
    else this.#readPlain();
  }

  #readEnvelope(): void {
    const { stream } = this.#start;
    const reader = new EnvelopeReader(this.#context.hotLimits.readMaxBytes);
    let request: Buffer | undefined;
    stream.on("data", (chunk: Buffer) => {
      if (this.#state !== "reading") return;
      reader.push(chunk);
      // A second message is a mistake that the end of the body shows as well: at least it is not read.
      const next = request === undefined ? reader.next() : undefined;
      if (next === undefined) {
        if (request !== undefined) this.failure(requestCount(this.#start.method, "more than one"));
      } else if (Buffer.isBuffer(next)) request = next;
      else this.failure(next);
    });
    stream.on("end", () => {
      if (this.#state !== "reading" || isOver(stream)) return;
      if (request !== undefined && reader.atBoundary) this.#decide(request);
      else if (request !== undefined) this.failure(requestCount(this.#start.method, "more than one"));
      else this.failure(reader.atBoundary ? requestCount(this.#start.method, "none") : truncated());
    });
  }

  /** Connect: the body is the message. */
  #readPlain(): void {
    const { stream, headers } = this.#start;
    const { readMaxBytes } = this.#context.hotLimits;
    const announced = Number(headers["content-length"] ?? -1);
    if (announced > readMaxBytes) return this.failure(requestTooLarge(announced, readMaxBytes));
    let only: Buffer | undefined;
    let parts: GrowingBytes | undefined;
    stream.on("data", (chunk: Buffer) => {
      if (this.#state !== "reading") return;
      const bytes = (parts ?? only)?.length ?? 0;
      if (bytes + chunk.length > readMaxBytes) return this.failure(requestTooLarge(bytes + chunk.length, readMaxBytes));
      if (only === undefined) {
        only = chunk;
        return;
      }
      if (parts === undefined) {
        parts = new GrowingBytes();
        parts.add(only, readMaxBytes);
      }
      parts.add(chunk, readMaxBytes);
    });
    stream.on("end", () => {
      if (this.#state !== "reading" || isOver(stream)) return;
      const body = parts?.take() ?? only ?? Buffer.alloc(0);
      if (announced >= 0 && announced !== body.length) this.failure(truncated());
      else this.#decide(body);
    });
  }

  #decide(request: Buffer): void {
    this.#state = "deciding";
    const cancel = this.#method(this.#context, request, this.#start.caller, this);
    // The method may have answered already.
    if (this.#isDeciding()) this.#cancel = cancel;
  }

  #isDeciding(): boolean {
    return this.#state === "deciding";
  }

  message(answer: Buffer, taken?: (written: boolean) => void): void {
    const { stream, protocol } = this.#start;
    if (this.#state !== "deciding" || isOver(stream)) {
      taken?.(false);
      return;
    }
    this.#answered(0);
    this.#taken = taken;
    const enveloped = protocol.name === "grpc";
    stream.respond({ ":status": 200, "content-type": protocol.contentType }, { waitForTrailers: enveloped });
    if (enveloped) sendTrailers(stream, okTrailers);
    const body = enveloped ? answer : answer.subarray(envelopeBytes);
    if (taken === undefined) stream.end(body);
    else {
      stream.write(body, () => {
        // Node calls back without an error for the write that a reset interrupts.
        if (!stream.destroyed || stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#written(true);
      });
      stream.end();
    }
  }

  failure(failed: WireFailure): void {
    const { stream, protocol } = this.#start;
    if ((this.#state !== "reading" && this.#state !== "deciding") || isOver(stream)) return;
    this.#answered(codeOf(failed));
    respondFailure(stream, protocol, failed);
    closeRequestHalf(stream, this.#context.hotLimits);
  }

  #answered(code: number): void {
    this.#state = "answered";
    this.#code = code;
    this.#cancel = undefined;
    clearTimeout(this.#deadline);
  }

  #written(written: boolean): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.(written);
  }

  #tooLate(): void {
    const cancel = this.#cancel;
    this.failure(deadlineExceeded("the deadline of the call passed before the broker could answer"));
    cancel?.();
  }

  #closed(): void {
    clearTimeout(this.#deadline);
    const cancel = this.#cancel;
    this.#state = "over";
    this.#cancel = undefined;
    cancel?.();
    this.#written(false);
    this.#context.active.delete(this);
    const { method, protocol } = this.#start;
    this.#context.onCall?.({
      method,
      protocol: protocol.name,
      code: this.#code,
      durationMs: performance.now() - this.#startedAt,
    });
    this.#context.over(this);
  }

  drain(): void {}

  stop(): void {
    const cancel = this.#cancel;
    this.failure(failure("DRAINING", "the broker is about to stop; ask again", { retryAfterMs: 1000 }));
    cancel?.();
  }
}

function requestCount(method: string, got: string): Failure {
  return failure("INVALID_REQUEST", `${method} takes exactly one request, and ${got} came; send one`);
}
