import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command } from "../core/commands.ts";
import { Mailbox, maxTurnBytes, maxWaitingBytes } from "./mailbox.ts";

test("a turn takes few commands that walk over all keys or queues", () => {
  const mailbox = new Mailbox();
  for (let request = 0; request < 10; request += 2) {
    mailbox.add({ type: "queue-stats", request, name: "q", topKeys: 10 });
    mailbox.add({ type: "list-queues", request: request + 1, after: "", limit: 10 });
  }
  const turns: number[] = [];
  while (mailbox.size > 0) turns.push(mailbox.take().length);
  assert.deepEqual(turns, [4, 4, 2]);
});

test("what a message takes beside its body counts: keys fill a turn, and empty messages the mailbox", () => {
  const rest = { queue: "q", fairnessKey: "k".repeat(256), weight: 0, cost: 1, body: new Uint8Array(0) };
  const throttleKeys = Array.from({ length: 16 }, () => "t".repeat(247));
  const frame: Command = { type: "enqueue", request: 1, items: new Array(100).fill({ ...rest, throttleKeys }) };
  const mailbox = new Mailbox();
  for (let frames = 0; frames < 40; frames += 1) mailbox.add(frame);
  const bytesOfFrame = 100 * (256 + 16 * 247);
  assert.ok(mailbox.take().length * bytesOfFrame <= maxTurnBytes);
  const empty = { ...rest, fairnessKey: "", throttleKeys: [] };
  const many: Command = { type: "enqueue", request: 1, items: new Array(10_000).fill(empty) };
  for (let messages = 0; messages < 3_000_000; messages += 10_000) mailbox.add(many);
  assert.ok(mailbox.waitingBytes > maxWaitingBytes);
  while (mailbox.size > 0) mailbox.take();
  assert.equal(mailbox.waitingBytes, 0);
});
