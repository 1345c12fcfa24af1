// Draws both runs side by side: live on a terminal, and once at the end elsewhere.
import type { WriteStream } from "node:tty";
import { median, type Tally, type TenantTally } from "./tally.ts";

export interface Panel {
  readonly title: string;
  readonly tally: Tally;
}

const framesPerSecond = 10;
const barWidth = 14;
const panelWidth = 44;
const gap = "   ";

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

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#draw();
    this.#out.write(`\n${verdict(this.#panels)}\n`);
  }

  #draw(): void {
    const lines = draw(this.#panels);
    const back = this.#linesDrawn > 0 ? `\x1b[${this.#linesDrawn}A` : "";
    // To the start of the last picture, then over it, line by line.
    this.#out.write(back + lines.map((line) => (this.#live ? `\x1b[2K${line}` : line)).join("\n") + "\n");
    this.#linesDrawn = lines.length;
  }
}

function draw(panels: readonly Panel[]): string[] {
  const longest = Math.max(1, ...panels.map(({ tally }) => longestQuietWait(tally)));
  const columns = panels.map(({ title, tally }) => [
    title,
    `${"waiting".padStart(7)} ${"share".padStart(6)} ${"median".padStart(7)} ${"longest wait".padStart(12)}`,
    ...tally.tenants.map((tenant) => row(tenant, tally.total, longest)),
  ]);
  const names = ["", "tenant", ...(panels[0]?.tally.tenants ?? []).map(({ name }) => name)];
  return names.map((name, at) =>
    [name.padEnd(8), ...columns.map((lines) => (lines[at] ?? "").padEnd(panelWidth))].join(gap).trimEnd(),
  );
}

/** Waiting now, share of all that was served, median wait, longest wait with a bar. */
function row(tenant: TenantTally, total: number, longest: number): string {
  const waiting = (tenant.sent - tenant.served).toLocaleString("en");
  const share = total === 0 ? "" : `${((100 * tenant.served) / total).toFixed(1)} %`;
  const numbers = `${waiting.padStart(7)} ${share.padStart(6)}`;
  if (tenant.waits.length === 0) return numbers;
  const most = tenant.longestWait;
  const times = `${shown(median(tenant.waits)).padStart(7)} ${shown(most).padStart(7)}`;
  // The one who sent the flood waits for its own messages: that is no news.
  const bar = tenant.name === "noisy" ? "" : "█".repeat(Math.round((barWidth * most) / longest));
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
      `while ${meanwhile.toLocaleString("en")} others were served`
    );
  });
  return lines.join("\n");
}
