// leases(): a stream of leases as an async iterable.
import { rejection } from "../errors.ts";
import type { Lease } from "./lease.ts";
import type { LeaseStream } from "./lease-stream.ts";

/** The leases of a queue, one after the other; ends on its signal, with `break`, and with the client. */
export interface LeaseIterator extends AsyncIterableIterator<Lease, undefined, undefined> {
  return(): Promise<IteratorReturnResult<undefined>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the stream with the first `next()`. `ended` is told once when nothing more will be yielded. */
export function leaseIterator(open: () => LeaseStream, signal: AbortSignal | undefined): LeaseIterator {
  let stream: LeaseStream | undefined;
  let over = false;
  const done = { done: true, value: undefined } as const;
  const abort = (): void => {
    over = true;
    void stream?.finish();
  };
  signal?.addEventListener("abort", abort, { once: true });

  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    over = true;
    signal?.removeEventListener("abort", abort);
    await stream?.finish();
    return done;
  };
  const next = async (): Promise<IteratorResult<Lease, undefined>> => {
    if (over || signal?.aborted === true) return end();
    try {
      stream ??= open();
      const lease = await stream.next();
      return lease === undefined ? await end() : { done: false, value: lease };
    } catch (error) {
      over = true;
      signal?.removeEventListener("abort", abort);
      throw rejection(error);
    }
  };
  return {
    next,
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
}
