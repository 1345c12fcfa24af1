// A strict reader of the text format 0.0.4: it takes what the format allows and nothing else, so that a test fails on what
// Prometheus would refuse or misread.
import assert from "node:assert/strict";

export interface Family {
  readonly type: string;
  readonly help: string;
  /** "name{label="value",...}" as it was written → value. */
  readonly samples: Map<string, number>;
}

const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const label = `[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`;
const sampleLine = new RegExp(`^(${name})(\\{${label}(?:,${label})*\\})? ([-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|Inf)|NaN)$`);
const helpLine = new RegExp(`^# HELP (${name}) (\\S.*)$`);
const typeLine = new RegExp(`^# TYPE (${name}) (counter|gauge|histogram)$`);

export function parsePrometheus(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, Family>();
  const lines = text.slice(0, -1).split("\n");
  let current: { readonly name: string; readonly family: Family } | undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    const help = helpLine.exec(line);
    if (help !== null) {
      const type = typeLine.exec(lines[(at += 1)] ?? "");
      assert.equal(type?.[1], help[1], `TYPE follows HELP: ${line}`);
      const family = { type: type![2]!, help: help[2]!, samples: new Map<string, number>() };
      assert.ok(!families.has(help[1]!), `one family ${help[1]!}`);
      families.set(help[1]!, family);
      current = { name: help[1]!, family };
      continue;
    }
    const sample = sampleLine.exec(line);
    assert.ok(sample !== null && current !== undefined, `no sample: ${line}`);
    const suffixes = current.family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert.ok(
      suffixes.some((suffix) => sample[1] === current!.name + suffix),
      `${line} is in ${current.name}`,
    );
    const series = sample[1]! + (sample[2] ?? "");
    assert.ok(!current.family.samples.has(series), `one sample ${series}`);
    current.family.samples.set(series, sample[3] === "+Inf" ? Infinity : Number(sample[3]));
  }
  for (const [each, family] of families) if (family.type === "histogram") checkHistogram(each, family);
  return families;
}

function checkHistogram(family: string, { samples }: Family): void {
  let last = 0;
  let bound = -Infinity;
  for (const [series, value] of samples) {
    const le = /_bucket\{le="([^"]+)"\}$/.exec(series)?.[1];
    if (le === undefined) continue;
    const next = le === "+Inf" ? Infinity : Number(le);
    assert.ok(next > bound && value >= last, `buckets rise: ${series}`);
    bound = next;
    last = value;
  }
  assert.equal(bound, Infinity);
  assert.equal(samples.get(`${family}_count`), last);
  assert.ok(samples.has(`${family}_sum`));
}
