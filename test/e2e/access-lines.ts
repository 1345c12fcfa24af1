// Lines like those of a web server's access log, made up: a few clients write most of them, many write one or two.
import { Seeded } from "../faults/seeded.ts";

export interface KeyedLine {
  readonly key: string;
  readonly text: string;
}

/** `keys` clients, each with at least one line; client k has about 1/k of what the first has. */
export function skewedLines(count: number, keys: number, seed: number): KeyedLine[] {
  const random = new Seeded(seed);
  const client = (number: number): string => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
  const harmonic = Array.from({ length: keys }, (_, at) => 1 / (at + 1));
  const total = harmonic.reduce((sum, part) => sum + part, 0);
  const draw = (): number => {
    let left = random.fraction() * total;
    const found = harmonic.findIndex((part) => (left -= part) < 0);
    return found < 0 ? 0 : found;
  };
  // Every client once, at a random place, and the rest by weight.
  const owners = Array.from({ length: count }, (_, at) => (at < keys ? at : draw()));
  for (let at = count - 1; at > 0; at--) {
    const other = random.between(0, at);
    [owners[at], owners[other]] = [owners[other]!, owners[at]!];
  }
  return owners.map((owner, at) => {
    const key = client(owner);
    // Some lines are the same, as in a real log.
    const path = random.chance(0.3) ? "/" : `/article/${at}?q=${"x".repeat(random.between(0, 150))}`;
    return { key, text: `${key} - - [17/May/2015:10:05:${String(at % 60).padStart(2, "0")} +0000] "GET ${path}" 200` };
  });
}
