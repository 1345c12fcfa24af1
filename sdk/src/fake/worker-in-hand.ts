// A worker without a broker: its clock and its streams are moved by the test.
import assert from "node:assert/strict";
import { bytes, type WorkOptions } from "../index.ts";
import type { Handler, HandlerContext } from "../working/handler.ts";
import { WorkerEngine } from "../working/worker.ts";
import { checkWorkOptions } from "../working/worker-options.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeStreams } from "./fake-streams.ts";

export interface WorkerInHand {
  readonly clock: FakeClock;
  readonly streams: FakeStreams;
  readonly worker: WorkerEngine<Uint8Array>;
  /** Contexts of handlers, by message id; none of them ever returns unless `release` is called. */
  readonly contexts: Map<string, HandlerContext>;
  readonly release: (id: string) => void;
  readonly errors: unknown[];
}

/** `inTurn`: what a handler does before it first waits. */
export function workerInHand(options: WorkOptions = {}, inTurn = (_clock: FakeClock): void => undefined): WorkerInHand {
  const clock = new FakeClock();
  const streams = new FakeStreams();
  const contexts = new Map<string, HandlerContext>();
  const ends = new Map<string, () => void>();
  const errors: unknown[] = [];
  const handler: Handler<Uint8Array> = ({ id }, context) => {
    contexts.set(id, context);
    inTurn(clock);
    return new Promise((resolve) => ends.set(id, resolve));
  };
  const worker = new WorkerEngine(
    { queue: "q", session: "s", workerId: "", visibilityTimeoutMs: 0 },
    bytes,
    handler,
    checkWorkOptions({ concurrency: 2, prefetch: 2, onError: (error) => errors.push(error), ...options }),
    {
      open: streams.open,
      fallback: { settle: () => assert.fail("settled behind the end") },
      clock,
      finishTimeoutMs: 5_000,
      gone: () => undefined,
    },
  );
  return { clock, streams, worker, contexts, errors, release: (id) => ends.get(id)?.() };
}
