// Rows for people, under a line of headings.
import { cut, printable } from "./printable.ts";

export interface Column {
  readonly heading: string;
  /** Numbers stand on the right. Default: left. */
  readonly right?: boolean;
  /** Is cut where the terminal is too narrow. */
  readonly flexible?: boolean;
}

export interface Row {
  readonly cells: readonly string[];
  /** Lines below the row, indented. */
  readonly below?: readonly string[];
}

const rowsAtOnce = 200;
const gap = "  ";
const narrowest = 8;

/**
 * Prints the heading with the first row; nothing for no rows. `width`: columns of the terminal; undefined: there is none,
 * and nothing is cut. Columns are as wide as the first 200 rows need, so that a long list begins at once. Resolves with the number of rows.
 */
export async function printTable(
  columns: readonly Column[],
  rows: AsyncIterable<Row> | Iterable<Row>,
  width: number | undefined,
  write: (line: string) => void,
): Promise<number> {
  let widths = columns.map(({ heading }) => heading.length);
  let held: Row[] = [];
  let printed = 0;
  const flush = (): void => {
    widths = fitted(columns, held, widths, width);
    if (printed === 0 && held.length > 0)
      write(
        line(
          columns.map(({ heading }) => heading),
          columns,
          widths,
        ),
      );
    for (const { cells, below = [] } of held) {
      write(line(cells.map(printable), columns, widths));
      for (const text of below) write(cut(`    ${printable(text)}`, width ?? Infinity));
    }
    printed += held.length;
    held = [];
  };
  for await (const row of rows) {
    if (held.push(row) === rowsAtOnce) flush();
  }
  flush();
  return printed;
}

function fitted(
  columns: readonly Column[],
  rows: readonly Row[],
  atLeast: readonly number[],
  width = Infinity,
): number[] {
  const widths = atLeast.map((least, at) =>
    rows.reduce((most, { cells }) => Math.max(most, printable(cells[at] ?? "").length), least),
  );
  const all = widths.reduce((sum, one) => sum + one, gap.length * (widths.length - 1));
  const flexible = columns.findIndex((column) => column.flexible);
  if (flexible >= 0 && all > width) widths[flexible] = Math.max(narrowest, widths[flexible]! - (all - width));
  return widths;
}

function line(cells: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  return cells
    .map((cell, at) => {
      const width = widths[at]!;
      const text = columns[at]!.flexible ? cut(cell, width) : cell;
      return columns[at]!.right ? text.padStart(width) : text.padEnd(width);
    })
    .join(gap)
    .trimEnd();
}
