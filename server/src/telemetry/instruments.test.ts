import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { instruments } from "./instruments.ts";
import { prometheusName } from "./prometheus-text.ts";
import { BEGIN, END, instrumentsTable } from "./testing/instruments-table.ts";

describe("the instruments", () => {
  it("have a description and a unit each, and a name of their own", () => {
    assert.equal(new Set(instruments.map(prometheusName)).size, instruments.length);
    for (const { name, unit, description } of instruments) {
      assert.match(name, /^fila(\.[a-z][a-z_]*)+$/);
      assert.match(unit, /^(s|By|1|\{[a-z]+\})$/);
      assert.match(description, /^[A-Z0-9].*\.$/);
    }
  });

  // FILA_WRITE_DOCS=1 writes the table anew.
  it("stand in docs/observability.md", () => {
    const file = path.join(import.meta.dirname, "../../../docs/observability.md");
    const text = readFileSync(file, "utf8");
    const begin = text.indexOf(BEGIN) + BEGIN.length;
    const end = text.indexOf(END);
    assert.ok(begin > BEGIN.length && end >= begin);
    const table = `\n${instrumentsTable()}\n`;
    if (process.env["FILA_WRITE_DOCS"] === "1") writeFileSync(file, text.slice(0, begin) + table + text.slice(end));
    else assert.equal(text.slice(begin, end), table);
  });
});
