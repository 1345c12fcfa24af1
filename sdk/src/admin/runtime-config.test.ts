import assert from "node:assert/strict";
import test from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../clock.ts";
import { FilaError } from "../errors.ts";
import { FakeClock } from "../fake/fake-clock.ts";
import { WatchConfigResponseSchema, type WatchConfigResponse } from "../gen/index.ts";
import type { AdminCalls } from "./calls.ts";
import { watchConfig, type ConfigChange } from "./runtime-config.ts";

type Response = MessageInitShape<typeof WatchConfigResponseSchema>;

const change = (revision: number): Response => ({
  changes: [{ revision: BigInt(revision), key: "k", value: `${revision}` }],
  revision: BigInt(revision),
});
const lost = (): FilaError => new FilaError("unavailable", "CONNECTION_LOST", "gone");

/** Streams that give these responses, one after the other, and end with these errors; `asked` collects from where. */
function scripted(...streams: (readonly [responses: readonly Response[], end: FilaError | undefined])[]) {
  const asked: number[] = [];
  async function* watch({ fromRevision }: { readonly fromRevision: bigint }): AsyncGenerator<WatchConfigResponse> {
    asked.push(Number(fromRevision));
    const [responses, end] = streams.shift() ?? [[], new FilaError("internal", "", "no more streams")];
    for (const response of responses) yield create(WatchConfigResponseSchema, response);
    if (end !== undefined) throw end;
  }
  const client = { watchConfig: watch };
  const calls = { stream: (open: (given: typeof client) => unknown) => open(client) };
  return { asked, calls: calls as unknown as AdminCalls };
}

/** Waits that are over at once; how many there were. */
class PatientClock implements Clock {
  waits = 0;

  now(): number {
    return 0;
  }

  after(_ms: number, run: () => void): () => void {
    this.waits++;
    const due = setImmediate(run);
    return () => clearImmediate(due);
  }

  random(): number {
    return 0.5;
  }
}

/** The revisions that a watch tells until it throws, and the reason of that. */
async function watched(watch: AsyncGenerator<ConfigChange>): Promise<[revisions: number[], reason: string]> {
  const revisions: number[] = [];
  try {
    for await (const { revision } of watch) revisions.push(revision);
    return [revisions, ""];
  } catch (error) {
    return [revisions, FilaError.from(error).reason];
  }
}

test("a watch goes on from where it was, behind revisions of other keys too, until what cannot pass", async () => {
  const clock = new PatientClock();
  const { asked, calls } = scripted(
    [[change(3), { revision: 7n }], lost()],
    [[], new FilaError("unavailable", "CONNECTION_FAILED", "it restarts")],
    [[change(8), change(9)], undefined],
    [[], new FilaError("failed_precondition", "CONFIG_COMPACTED", "too late")],
  );
  const told = await watched(watchConfig(calls, { fromRevision: 2 }, clock));
  assert.deepEqual(told, [[3, 8, 9], "CONFIG_COMPACTED"]);
  assert.deepEqual(asked, [2, 7, 7, 9]);
  assert.equal(clock.waits, 3, "one wait between each two streams");
});

test("nobody is waited for who was never reached, and the signal ends a wait", async () => {
  const clock = new FakeClock();
  const failed = new FilaError("unavailable", "CONNECTION_FAILED", "nobody there");
  await assert.rejects(watchConfig(scripted([[], failed]).calls, {}, clock).next(), { reason: "CONNECTION_FAILED" });
  const stop = new AbortController();
  const watch = watchConfig(scripted([[change(1)], lost()]).calls, { signal: stop.signal }, clock);
  await watch.next();
  const next = watch.next();
  while (clock.armed === 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  assert.deepEqual([await next, clock.armed], [{ done: true, value: undefined }, 0]);
});
