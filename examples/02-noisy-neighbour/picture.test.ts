import assert from "node:assert/strict";
import test from "node:test";
import type { WriteStream } from "node:tty";
import { stripVTControlCharacters } from "node:util";
import { Picture } from "./picture.ts";
import { Tally } from "./tally.ts";

function panels() {
  const names = ["noisy", ...Array.from({ length: 9 }, (_, at) => `quiet-${at + 1}`)];
  return ["each tenant its own fairness key", "all in one key"].map((title, slow) => {
    const tally = new Tally(names, "noisy");
    for (const name of names) {
      tally.sent(name, name);
      tally.served(name, name, 3 + slow * 9_000);
    }
    return { title, tally };
  });
}

/** A terminal of that size, or a pipe, and what was written to it. */
function output(size: object) {
  const written: string[] = [];
  return { written, out: { ...size, write: (text: string) => written.push(text) } as unknown as WriteStream };
}

const picturesOf = (written: readonly string[]): string[][] =>
  written.slice(0, -1).map((text) => stripVTControlCharacters(text).split("\n").slice(0, -1));

test("a picture that is drawn over fits the terminal: no line is broken, none leaves it at the top", () => {
  for (const columns of [1, 40, 79, 80, 81, 99, 100, 110, 200]) {
    for (const rows of [2, 8, 24, 50]) {
      const { written, out } = output({ isTTY: true, columns, rows });
      new Picture(out, panels()).finish();
      const [lines = []] = picturesOf(written);
      assert.ok(lines.length < rows, `${lines.length} lines in ${rows} rows`);
      assert.ok(lines.length > 0);
      for (const line of lines) assert.ok(line.length <= columns, `${line.length} of ${columns} columns: ${line}`);
      assert.match(written.at(-1) ?? "", /all in one key: a quiet tenant's message waited 9.0 s/);
    }
  }
});

test("80 columns show both panels whole", () => {
  const { written, out } = output({ isTTY: true, columns: 80, rows: 24 });
  new Picture(out, panels()).finish();
  const [lines = []] = picturesOf(written);
  assert.equal(lines.length, 12);
  assert.match(lines[1] ?? "", /longest wait +waiting .* longest wait$/);
  assert.match(lines[11] ?? "", /^quiet-9 .* 3 ms ▏ .* 9\.0 s █+$/);
});

test("a run that failed claims nothing", () => {
  const { written, out } = output({ isTTY: false });
  {
    using picture = new Picture(out, panels());
    picture.show();
  }
  assert.deepEqual(written, []);
});
