import type { Failure } from "../../core/errors.ts";
import { codeOf } from "./failure-wire.ts";
import type { WireWriter } from "./wire-writer.ts";

/** A field of type ItemError: one message or settlement of many went wrong. */
export function itemError(out: WireWriter, field: number, failed: Failure): void {
  out.begin(field, failed.message.length + failed.reason.length + 6);
  out.uint32Field(1, codeOf(failed));
  out.stringField(2, failed.reason);
  out.stringField(3, failed.message);
  out.finish();
}
