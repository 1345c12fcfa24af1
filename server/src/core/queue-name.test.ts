import assert from "node:assert/strict";
import { test } from "node:test";
import { queueNameFailure } from "./queue-name.ts";

test("a name has 1 to 255 bytes, of which the suffix of a DLQ is none", () => {
  for (const name of [
    "q",
    "q".repeat(255),
    `${"q".repeat(255)}.dlq`,
    "é".repeat(127),
    "a b/c",
    "😀".repeat(63),
    "x.dlq.dlq",
  ]) {
    assert.equal(queueNameFailure(name), undefined, name);
  }
  for (const name of ["", ".dlq", "q".repeat(256), `${"q".repeat(256)}.dlq`, "é".repeat(128), "😀".repeat(64)]) {
    assert.equal(queueNameFailure(name)?.reason, "INVALID_QUEUE_NAME", name);
  }
});

test("control characters and halves of characters are no part of a name", () => {
  for (const name of ["a\nb", "\u0000", "a\u007f", "\u0085x", "\ud800"]) {
    assert.equal(queueNameFailure(name)?.field, "queue", JSON.stringify(name));
  }
});
