// Draws both runs side by side: live on a terminal, and once at the end elsewhere.
import type { WriteStream } from "node:tty";
import { median, type Tally, type TenantTally } from "./tally.ts";

export interface Panel {
  readonly title: string;
  readonly tally: Tally;
}

const framesPerSecond = 10;
/** Of a panel, without its bar. */
const numbersWidth = 31;
const largestBar = 14;
/** The heads of the columns are as wide as numbers and this. */
const smallestBar = 4;
/** Assumed where the output has no width of its own. */
const usualColumns = 110;
const nameWidth = 8;

export class Picture {
  readonly #out: WriteStream;
  readonly #panels: readonly Panel[];
  readonly #live: boolean;
  #timer: NodeJS.Timeout | undefined;
  #linesDrawn = 0;

  constructor(out: WriteStream, panels: readonly Panel[]) {
    this.#out = out;
    this.#panels = panels;
    this.#live = out.isTTY;
  }

  show(): void {
    if (this.#live) this.#timer = setInterval(() => this.#draw(), 1000 / framesPerSecond);
  }

  /** Both runs are over: draws the last picture, and says what it shows. */
  finish(): void {
    this[Symbol.dispose]();
    this.#draw();
    this.#out.write(`\n${verdict(this.#panels)}\n`);
  }

  /** A run that failed has nothing to show. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #draw(): void {
    // A terminal may not know its size, and say 0.
    const columns = (this.#live && this.#out.columns) || usualColumns;
    const rows = (this.#live && this.#out.rows) || Infinity;
    // A line that the terminal breaks, or one beyond its height, could not be drawn over.
    const lines = draw(this.#panels, columns)
      .slice(0, Math.max(1, rows - 1))
      .map((line) => line.slice(0, columns));
    const back = this.#linesDrawn > 0 ? `\x1b[${this.#linesDrawn}A` : "";
    // To the start of the last picture, then over it, line by line.
    this.#out.write(back + lines.map((line) => (this.#live ? `\x1b[2K${line}` : line)).join("\n") + "\n");
    this.#linesDrawn = lines.length;
  }
}

function draw(panels: readonly Panel[], width: number): string[] {
  // Two panels fit into the usual 80 columns.
  const gap = width < 100 ? " " : "   ";
  const numbers = nameWidth + panels.length * (gap.length + numbersWidth);
  const bar = Math.max(smallestBar, Math.min(largestBar, Math.floor((width - numbers) / panels.length) - 1));
  const longest = Math.max(1, ...panels.map(({ tally }) => longestQuietWait(tally)));
  const columns = panels.map(({ title, tally }) => [
    title,
    `${"waiting".padStart(7)} ${"share".padStart(6)} ${"median".padStart(7)} ${"longest wait".padStart(12)}`,
    ...tally.tenants.map((tenant) => row(tenant, tally.share(tenant), bar / longest)),
  ]);
  const names = ["", "tenant", ...(panels[0]?.tally.tenants ?? []).map(({ name }) => name)];
  return names.map((name, at) =>
    [name.padEnd(nameWidth), ...columns.map((lines) => (lines[at] ?? "").padEnd(numbersWidth + bar))]
      .join(gap)
      .trimEnd(),
  );
}

/** Waiting now, share of the service while it had something waiting, median wait, longest wait with a bar. */
function row(tenant: TenantTally, part: number, barPerMs: number): string {
  const waiting = (tenant.sent - tenant.served).toLocaleString("en");
  const share = tenant.served === 0 ? "" : `${(100 * part).toFixed(1)} %`;
  const numbers = `${waiting.padStart(7)} ${share.padStart(6)}`;
  if (tenant.waits.length === 0) return numbers;
  const most = tenant.longestWait;
  const times = `${shown(median(tenant.waits)).padStart(7)} ${shown(most).padStart(7)}`;
  // The one who sent the flood waits for its own messages: that is no news.
  const bar = tenant.name === "noisy" ? "" : "█".repeat(Math.round(most * barPerMs));
  return `${numbers} ${times} ${bar === "" ? "▏" : bar}`;
}

function shown(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function quietOnes({ tenants }: Tally): readonly TenantTally[] {
  return tenants.filter(({ name }) => name !== "noisy");
}

function longestQuietWait(tally: Tally): number {
  return Math.max(...quietOnes(tally).map((tenant) => tenant.longestWait));
}

function verdict(panels: readonly Panel[]): string {
  const lines = panels.map(({ title, tally }) => {
    const waits = quietOnes(tally).flatMap((tenant) => tenant.waits);
    const meanwhile = median(quietOnes(tally).flatMap((tenant) => tenant.servedMeanwhile));
    return (
      `${title}: a quiet tenant's message waited ${shown(median(waits))} (longest ${shown(longestQuietWait(tally))}), ` +
      `while ${meanwhile === 1 ? "1 other was" : `${meanwhile.toLocaleString("en")} others were`} served`
    );
  });
  return lines.join("\n");
}
