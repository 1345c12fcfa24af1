// What methods and transports know of each other. A transport is HTTP/2 by hand (hot-path.ts) or the RPC library
// (door.ts); methods do not see the difference.
import type { Broker } from "../../broker/contract.ts";
import type { Failure } from "../../core/errors.ts";
import type { StreamIntake } from "../../delivery/stream-intake.ts";
import type { Caller } from "../access/caller.ts";
import type { MessageLimits } from "../wire/limits.ts";
import type { WireFailure } from "../wire/failure-wire.ts";

export interface MethodDeps {
  readonly broker: Broker;
  readonly messageLimits: MessageLimits;
}

/** Takes the answer of a unary call: exactly one of the two, once. */
export interface UnaryReply {
  /** @param answer the response in its envelope of 5 bytes
   *  @param taken whether the transport took it; called once */
  message(answer: Buffer, taken?: (written: boolean) => void): void;
  failure(failed: WireFailure): void;
}

/** Starts a unary call. What it returns is called when the client is gone or out of time before the answer. */
export type UnaryMethod = (
  deps: MethodDeps,
  request: Buffer,
  caller: Caller,
  reply: UnaryReply,
) => (() => void) | undefined;

/** Where the handler of a stream speaks to its client. */
export interface StreamTransport extends StreamIntake {
  /** Response headers may go out now; the first write does it too. */
  opened(): void;
  /** One or more responses, each in its envelope. `taken` when the transport has them and has drained. */
  write(responses: Buffer, taken: () => void): void;
  end(failed: WireFailure | undefined): void;
}

/** One stream. After `gone`, and after it has ended the transport, nothing is called any more. */
export interface StreamHandler {
  /** One request, without its envelope. */
  message(request: Buffer): void;
  /** The client broke the protocol: no more requests come. */
  refuse(failed: Failure): void;
  /** The client has sent its last request. */
  inputEnded(): void;
  /** The client is gone, or out of time. */
  gone(): void;
  /** The server is about to stop. Streams that the broker itself ends do nothing. */
  drain(): void;
  /** The caller may do other things than before: a stream that it may have no longer ends. */
  accessChanged(): void;
}

export type StreamMethod = (deps: MethodDeps, caller: Caller, transport: StreamTransport) => StreamHandler;

/** Bytes of an envelope before its message. */
export const envelopeBytes = 5;
