import assert from "node:assert/strict";
import { test } from "node:test";
import { Mailbox } from "./mailbox.ts";

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
