import v8 from "node:v8";
import vm from "node:vm";

/**
 * Loading the program leaves some 20 MB of garbage, and V8 collects only when something is allocated: an idle broker would
 * keep it for ever. One full collection gives it back to the operating system, in some 20 ms, before there is traffic.
 */
export function returnStartupGarbage(): void {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as (options: object) => void;
  v8.setFlagsFromString("--no-expose-gc");
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
