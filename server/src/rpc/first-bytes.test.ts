import assert from "node:assert/strict";
import { it } from "node:test";
import { protocolOf } from "./first-bytes.ts";

it("tells HTTP/2 from HTTP/1 as early as the bytes allow", () => {
  const of = (text: string) => protocolOf(Buffer.from(text, "latin1"));
  assert.equal(of(""), undefined);
  assert.equal(of("P"), undefined);
  assert.equal(of("PR"), undefined);
  assert.equal(of("PRI"), "http2");
  assert.equal(of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"), "http2");
  for (const other of ["G", "PO", "PUT", "PRX", "PRIVATE /", "\x16\x03\x01"]) assert.equal(of(other), "http1", other);
});
