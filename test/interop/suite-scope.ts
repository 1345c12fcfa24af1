// What the tests of one file share (a server, a browser, generated code) is cleaned up after the last of them.
import { after } from "node:test";
import type { Scope } from "../e2e/server-process.ts";

/** To be called where `after` belongs: at the top of a file, or in a `describe`. */
export function suiteScope(): Scope {
  const stack = new AsyncDisposableStack();
  after(() => stack.disposeAsync());
  return { after: (clean) => stack.defer(clean) };
}
