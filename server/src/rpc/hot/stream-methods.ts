import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { ConsumeSession } from "../../delivery/consume-session.ts";
import { EnqueueSession } from "../../delivery/enqueue-session.ts";
import { LeaseSession } from "../../delivery/lease-session.ts";
import type { LeaseOut } from "../../delivery/lease-session.ts";
import {
  deliveriesBytes,
  deliveryBytes,
  writeLeasedMessage,
  writeMessage,
  writeTimestamp,
} from "../wire/delivery-wire.ts";
import { permittedCall, permittedItems } from "../access/permitted.ts";
import { splitStreamEnqueue, writeStreamEnqueueResponse } from "../wire/enqueue-frame.ts";
import type { EnqueueFrame } from "../wire/enqueue-frame.ts";
import { readConsume, readStreamLease } from "../wire/request-wire.ts";
import { ResponseFrames } from "../wire/response-frames.ts";
import { writeLeaseLost, writeSettlementResults } from "../wire/settle-wire.ts";
import type { Caller } from "../access/caller.ts";
import type { StreamHandler, StreamMethod, StreamTransport } from "./call.ts";
import { recycle } from "./growing-bytes.ts";

/** Writes what was gathered; without anything there is nothing to wait for. */
function flush(frames: ResponseFrames, transport: StreamTransport, taken: () => void): void {
  const responses = frames.take();
  if (responses === undefined) taken();
  else transport.write(responses, taken);
}

const streamEnqueue: StreamMethod = ({ broker, messageLimits }, caller, transport) => {
  const frames = new ResponseFrames();
  const session = new EnqueueSession<EnqueueFrame & { readonly request: Buffer }>(broker, {
    results({ frame, request }, outcomes) {
      writeStreamEnqueueResponse(frames.room(outcomes.length * 42), frame, outcomes);
      frames.close();
      // The bodies, which are views of the request, are in the store or refused: nobody reads them any more.
      recycle(request);
    },
    flush: (taken) => flush(frames, transport, taken),
    end: (failed) => transport.end(failed),
    pause: () => transport.pause(),
    resume: () => transport.resume(),
  });
  transport.opened();
  return {
    message(request) {
      const frame = permittedItems(splitStreamEnqueue(request, messageLimits), caller);
      if ("reason" in frame) session.refuse(frame);
      else session.frame({ ...frame, request }, request.length);
    },
    refuse: (failed) => session.refuse(failed),
    inputEnded: () => session.inputEnded(),
    gone: () => session.gone(),
    drain: () => session.drain(),
    accessChanged() {
      const refused = caller.revocation();
      if (refused !== undefined) session.refuse(refused);
    },
  };
};

const consume: StreamMethod = (deps, caller, transport) => new ConsumeHandler(deps, caller, transport);

/** States: waiting for the one request → consuming (the session's states) | refused. */
class ConsumeHandler implements StreamHandler {
  #session: ConsumeSession | undefined = undefined;
  #queue: string | undefined = undefined;
  #refused = false;
  readonly #start: (queue: string) => ConsumeSession;
  readonly #caller: Caller;
  readonly #transport: StreamTransport;

  constructor(...[{ broker }, caller, transport]: Parameters<StreamMethod>) {
    this.#caller = caller;
    this.#transport = transport;
    this.#start = (queue) => {
      const session = new ConsumeSession(consumeOut(transport));
      const { connection, principal } = caller;
      const fixed = { kind: "consume", worker: "", session: "", visibilityMs: 0, credit: 0 } as const;
      session.attach(broker.openConsumer({ queue, connection, principal, ...fixed }, session));
      return session;
    };
  }

  message(request: Buffer): void {
    if (this.#refused) return;
    if (this.#session !== undefined) return this.refuse(requestCount("more than one"));
    const call = permittedCall(readConsume(request), this.#caller);
    if ("reason" in call) return this.refuse(call);
    this.#queue = call.queue;
    this.#session = this.#start(call.queue);
  }

  refuse(failed: Failure): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#session?.gone();
    this.#transport.end(failed);
  }

  inputEnded(): void {
    if (this.#session === undefined) this.refuse(requestCount("none"));
  }

  gone(): void {
    this.#session?.gone();
  }

  drain(): void {}

  accessChanged(): void {
    const refused = this.#queue === undefined ? this.#caller.revocation() : this.#caller.refusal(this.#queue);
    if (refused !== undefined) this.refuse(refused);
  }
}

function requestCount(got: string): Failure {
  return failure("INVALID_REQUEST", `Consume takes exactly one request, and ${got} came; send one`);
}

function consumeOut(transport: StreamTransport): ConstructorParameters<typeof ConsumeSession>[0] {
  const frames = new ResponseFrames();
  return {
    opened: () => transport.opened(),
    messages(deliveries) {
      frames.expect(deliveriesBytes(deliveries));
      for (const delivery of deliveries) {
        writeMessage(frames.room(deliveryBytes(delivery)), 1, delivery);
        // Exactly one message per response.
        frames.close();
      }
    },
    flush: (taken) => flush(frames, transport, taken),
    end: (failed) => transport.end(failed),
  };
}

const streamLease: StreamMethod = ({ broker }, caller, transport) => {
  const session = new LeaseSession(broker, caller, leaseOut(transport));
  let queue: string | undefined;
  const refusal = (): Failure | undefined => (queue === undefined ? caller.revocation() : caller.refusal(queue));
  return {
    message(request) {
      const frame = readStreamLease(request);
      if ("reason" in frame) {
        session.refuse(frame);
        return;
      }
      // Every settlement is one of this queue; who has lost the permission settles no more.
      queue ??= frame.subscribe?.queue;
      const refused = refusal();
      if (refused === undefined) session.request(frame, request.length);
      else session.refuse(refused);
    },
    refuse: (failed) => session.refuse(failed),
    inputEnded: () => session.inputEnded(),
    gone: () => session.gone(),
    // The broker tells its consumers itself.
    drain: () => {},
    accessChanged() {
      const refused = refusal();
      if (refused !== undefined) session.refuse(refused);
    },
  };
};

function leaseOut(transport: StreamTransport): LeaseOut {
  const frames = new ResponseFrames();
  return {
    subscribed(visibilityMs, adopted) {
      const out = frames.room(adopted.length * 72 + 16);
      out.begin(1, adopted.length * 72 + 8);
      out.uint64Field(1, visibilityMs);
      for (const lease of adopted) {
        out.begin(2, 66);
        out.stringField(1, lease.id);
        out.tokenField(2, lease.token.high, lease.token.low);
        writeTimestamp(out, 3, lease.leaseExpiresAt);
        out.finish();
      }
      out.finish();
    },
    messages(deliveries) {
      frames.expect(deliveriesBytes(deliveries));
      for (const delivery of deliveries) writeLeasedMessage(frames.room(deliveryBytes(delivery)), 2, delivery);
    },
    settled: (frame, outcomes) => writeSettlementResults(frames.room(32), 3, frame, outcomes),
    lost(leases) {
      for (const lease of leases) writeLeaseLost(frames.room(64), 4, lease);
    },
    draining: () => frames.room(2).uint32Field(5, 1),
    stopped: () => frames.room(2).uint32Field(6, 1),
    flush: (taken) => flush(frames, transport, taken),
    end: (failed) => transport.end(failed),
    pause: () => transport.pause(),
    resume: () => transport.resume(),
  };
}

export const streamMethods = {
  StreamEnqueue: streamEnqueue,
  Consume: consume,
  StreamLease: streamLease,
} as const satisfies Record<string, StreamMethod>;

export type StreamMethodName = keyof typeof streamMethods;
