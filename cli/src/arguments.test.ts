import assert from "node:assert/strict";
import test from "node:test";
import { assertNamesCommand, commandFirst, wantsJson } from "./arguments.ts";
import { nearest } from "./nearest.ts";

const names = { commands: ["enqueue", "consume", "queue create", "queue list"], topics: ["queue"] };

test("flags before the command move behind it, but not behind --", () => {
  assert.deepEqual(commandFirst(["--addr", "h:1", "--json", "queue", "list"]), [
    "queue",
    "list",
    "--addr",
    "h:1",
    "--json",
  ]);
  assert.deepEqual(commandFirst(["--addr=h:1", "enqueue", "q", "--", "x"]), ["enqueue", "q", "--addr=h:1", "--", "x"]);
  assert.deepEqual(commandFirst(["help", "queue", "list"]), ["queue", "list", "--help"]);
  assert.deepEqual(commandFirst(["--json", "help"]), ["--json", "--help"]);
  assert.deepEqual(commandFirst(["enqueue", "help", "--json"]), ["enqueue", "help", "--json"]);
});

test("--json counts up to --", () => {
  assert.equal(wantsJson(["a", "--json"]), true);
  assert.equal(wantsJson(["a", "--", "--json"]), false);
});

test("what names a command or asks for help passes; anything else is told with what may be meant", () => {
  for (const line of [
    "",
    "--help",
    "-h --json",
    "queue",
    "queue --help --json",
    "queue list",
    "enqueue nope x --ky",
    "consume --exec -- --json",
  ]) {
    assertNamesCommand(line.split(" ").filter(Boolean), names);
  }
  const refused: Record<string, RegExp> = {
    "--json": /^there is no command;/,
    "--addr x": /^there is no command;/,
    "--nope": /^there is no flag --nope without a command/,
    "queue --json": /^"fila queue" needs a command behind it: create, list$/,
    "queue lsit": /"queue lsit"; did you mean "fila queue list"\?/,
    "queue drop x --help": /^there is no command "queue drop"; "fila --help"/,
    "enqeue q x": /"enqeue"; did you mean "fila enqueue"\?/,
    "create q": /did you mean "fila queue create"\?/,
    xyz: /^there is no command "xyz"; "fila --help" lists them$/,
  };
  for (const [line, message] of Object.entries(refused)) {
    assert.throws(() => assertNamesCommand(line.split(" "), names), { name: "UsageError", message }, line);
  }
});

test("the nearest name is one change in three letters away at most", () => {
  const known = ["list", "inspect", "delete", "key"];
  const expected: Record<string, string | undefined> = {
    list: "list",
    lits: "list",
    insepct: "inspect",
    inspct: "inspect",
    deletee: "delete",
    ky: "key",
    l: undefined,
    wxyz: undefined,
  };
  for (const [word, found] of Object.entries(expected)) assert.equal(nearest(word, known), found, word);
});
