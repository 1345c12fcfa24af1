// leases(): a reader of leases as an async iterable.
import type { Codec } from "../codec.ts";
import { rejection } from "../errors.ts";
import { Lease } from "./lease.ts";
import type { LeaseReader } from "./lease-reader.ts";

/** The leases of a queue, one after the other; ends on its signal, with `break`, and with the client. */
export interface LeaseIterator<T = Uint8Array> extends AsyncIterableIterator<Lease<T>, undefined, undefined> {
  return(): Promise<IteratorReturnResult<undefined>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the stream with the first `next()`. */
export function leaseIterator<T>(
  open: () => LeaseReader,
  codec: Codec<T>,
  signal: AbortSignal | undefined,
): LeaseIterator<T> {
  let reader: LeaseReader | undefined;
  let over = false;
  const done = { done: true, value: undefined } as const;
  const abort = (): void => {
    over = true;
    void reader?.finish();
  };
  signal?.addEventListener("abort", abort, { once: true });

  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    over = true;
    signal?.removeEventListener("abort", abort);
    await reader?.finish();
    return done;
  };
  const next = async (): Promise<IteratorResult<Lease<T>, undefined>> => {
    if (over || signal?.aborted === true) return end();
    try {
      reader ??= open();
      const held = await reader.next();
      return held === undefined ? await end() : { done: false, value: new Lease(held, codec) };
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
