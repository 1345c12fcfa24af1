import assert from "node:assert/strict";
import { test } from "node:test";
import { Caller } from "../access/caller.ts";
import { anonymous } from "../access/principal.ts";
import { defaultMessageLimits } from "../wire/limits.ts";
import { Door } from "./door.ts";
import { FakeBroker } from "./testing/fake-broker.ts";

test("a stream whose client is gone, or out of time, before its request is there opens no consumer", async () => {
  const broker = new FakeBroker();
  const door = new Door({ broker, messageLimits: defaultMessageLimits });
  const caller = new Caller(1, anonymous, { scope: "queue named", anyOf: ["consume"] });
  const over = new Error("out of time");
  async function* late(): AsyncIterable<Uint8Array> {
    yield Buffer.from("\n\x01q");
  }
  const responses = door.stream("Consume", late(), caller, AbortSignal.abort(over));
  await assert.rejects(responses[Symbol.asyncIterator]().next(), over);
  // Whatever was planned for this turn has happened then.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(broker.consumers.length, 0);
});
