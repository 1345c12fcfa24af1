import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LineWriter } from "./line-writer.ts";

/** A pipe with room for so many bytes. */
function pipe(room: number) {
  const made = {
    room,
    text: "",
    paused: 0,
    error: "EAGAIN",
    writer: new LineWriter({
      writeSome(bytes) {
        const taken = Math.min(made.room, bytes.length);
        if (taken === 0) throw Object.assign(new Error(made.error), { code: made.error });
        made.room -= taken;
        made.text += Buffer.from(bytes.subarray(0, taken)).toString();
        return taken;
      },
      pause(ms) {
        made.paused += ms;
      },
    }),
  };
  return made;
}

describe("the line writer", () => {
  it("waits for a reader that is a little behind, and writes the rest of a line", () => {
    const made = pipe(3);
    const { writer } = made;
    const slow = new LineWriter({
      writeSome: (bytes) => Math.min(1, bytes.length),
      pause: () => assert.fail("a line that moves needs no pause"),
    });
    slow.write("abc\n");
    assert.equal(slow.lost, 0);
    made.room = 100;
    writer.write("a\n");
    writer.write("b\n");
    assert.equal(made.text, "a\nb\n");
  });

  it("drops lines of a reader that does not read, waits for it once, and says how many were lost", () => {
    const made = pipe(5);
    const { writer } = made;
    for (const line of ["one\n", "two\n", "three\n", "four\n"]) writer.write(line);
    assert.equal(made.text, "one\nt");
    assert.equal(made.paused, 1_000);
    assert.equal(writer.lost, 3);
    made.room = 1_000;
    writer.write("five\n");
    // The line that was begun is whole; it counts as lost because nobody knew.
    assert.match(made.text, /^one\ntwo\n\{"level":"warn",.*"lines":3,.*\}\nfive\n$/);
    assert.equal(writer.lost, 0);
    writer.write("six\n");
    assert.ok(made.text.endsWith("five\nsix\n"));
  });

  it("neither throws nor waits when nobody can read any more", () => {
    const made = pipe(0);
    made.error = "EPIPE";
    made.writer.write("one\n");
    made.writer.write("two\n");
    assert.equal(made.paused, 0);
    assert.equal(made.writer.lost, 2);
  });
});
