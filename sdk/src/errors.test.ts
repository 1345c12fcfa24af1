import assert from "node:assert/strict";
import test from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { milliseconds, type Duration } from "./duration.ts";
import { errorCodes, errorFromItem, FilaError, LeaseLost, rejection } from "./errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/index.ts";

test("codes stand where gRPC numbers them", () => {
  for (const [i, code] of errorCodes.entries()) {
    const name = Code[i + 1]?.replace(/[A-Z]/g, (letter, at) => (at > 0 ? "_" : "") + letter.toLowerCase());
    assert.equal(code, name);
  }
  assert.equal(errorFromItem(5, "QUEUE_NOT_FOUND", "m").code, "not_found");
  assert.equal(errorFromItem(99, "", "m").code, "unknown");
});

test("from reads the broker's details", () => {
  const error = new ConnectError("slow down", Code.ResourceExhausted, undefined, [
    { desc: ErrorInfoSchema, value: { reason: "OVERLOADED", domain: "fila", metadata: { queue: "q" } } },
    { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
  ]);
  const fila = FilaError.from(error);
  assert.equal(fila.code, "resource_exhausted");
  assert.equal(fila.reason, "OVERLOADED");
  assert.equal(fila.message, "slow down");
  assert.equal(fila.retryAfterMs, 1500);
  assert.deepEqual(fila.metadata, { queue: "q" });
  assert.equal(fila.retryable, true);
  assert.equal(fila.cause, error);
  assert.equal(FilaError.from(fila), fila);
});

test("Node's words for a broken connection say what broke", () => {
  const error = FilaError.from(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  assert.deepEqual([error.code, error.reason, error.retryable], ["unavailable", "CONNECTION_LOST", true]);
  assert.equal(error.message, "the connection to the server was lost: read ECONNRESET");
});

test("a refused lease is a LeaseLost however it comes", () => {
  const info = { desc: ErrorInfoSchema, value: { reason: "LEASE_LOST", domain: "fila" } };
  assert.ok(FilaError.from(new ConnectError("gone", Code.FailedPrecondition, undefined, [info])) instanceof LeaseLost);
  assert.ok(errorFromItem(9, "LEASE_LOST", "gone") instanceof LeaseLost);
});

test("the caller's own abort passes untouched", () => {
  const reason = new Error("mine");
  assert.equal(rejection(new ConnectError("x", Code.Canceled), AbortSignal.abort(reason)), reason);
  assert.equal(FilaError.from("text").code, "unknown");
});

test("durations", () => {
  assert.equal(milliseconds("250ms", "x"), 250);
  assert.equal(milliseconds("1.5s", "x"), 1500);
  assert.equal(milliseconds("12h", "x"), 43_200_000);
  assert.equal(milliseconds(7, "x"), 7);
  for (const bad of ["", "30", "1 s", "-1s", "1w", -1, Number.NaN, Infinity] as Duration[]) {
    assert.throws(() => milliseconds(bad, "wait"), {
      code: "invalid_argument",
      reason: "INVALID_DURATION",
      message: /^wait is/,
    });
  }
  assert.throws(() => milliseconds("2m", "wait", 60_000), /at most 60000 ms/);
});
