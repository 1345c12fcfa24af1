import { UsageError } from "./command-failure.ts";

/** "name=value" flags as an object. The value may contain "=". Throws UsageError. */
export function parsePairs(flag: string, pairs: readonly string[]): Record<string, string> {
  const parsed: [string, string][] = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at <= 0) throw new UsageError(`${flag} ${JSON.stringify(pair)} is not of the form name=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(parsed);
}
