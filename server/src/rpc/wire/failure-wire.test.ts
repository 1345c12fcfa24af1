import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@fila/sdk/gen";
import { failure, reasons } from "../../core/errors.ts";
import { deadlineExceeded, failureToStatusDetails } from "./failure-wire.ts";

test("every reason becomes an ErrorInfo of the domain fila", () => {
  for (const reason of Object.keys(reasons) as (keyof typeof reasons)[]) {
    const status = failureToStatusDetails(failure(reason, "what, and what to do", { metadata: { queue: "Ω" } }));
    assert.equal(status.name, reasons[reason]);
    assert.equal(status.details.length, 1);
    const info = fromBinary(ErrorInfoSchema, status.details[0]!.value);
    assert.equal(info.reason, reason);
    assert.equal(info.domain, "fila");
    assert.deepEqual({ ...info.metadata }, { queue: "Ω" });
  }
});

test("a field becomes a BadRequest, a time to wait a RetryInfo", () => {
  const [, bad] = failureToStatusDetails(failure("INVALID_FIELD", "give 1", { field: "weight" })).details;
  assert.equal(bad?.type, "google.rpc.BadRequest");
  const [violation] = fromBinary(BadRequestSchema, bad.value).fieldViolations;
  assert.equal(violation?.field, "weight");
  assert.equal(violation.description, "give 1");
  const [, retry] = failureToStatusDetails(failure("OVERLOADED", "wait", { retryAfterMs: 1500 })).details;
  assert.equal(retry?.type, "google.rpc.RetryInfo");
  const delay = fromBinary(RetryInfoSchema, retry.value).retryDelay;
  assert.equal(delay?.seconds, 1n);
  assert.equal(delay.nanos, 500_000_000);
});

test("a deadline is a failure of the transport alone", () => {
  assert.equal(failureToStatusDetails(deadlineExceeded("too late")).code, 4);
});
