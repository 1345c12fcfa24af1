// The table of docs/observability.md, made from the table of instruments. A test compares.
import { instruments } from "../instruments.ts";
import { prometheusName } from "../prometheus-text.ts";

export const BEGIN = "<!-- begin: made from server/src/telemetry/instruments.ts -->";
export const END = "<!-- end: made from server/src/telemetry/instruments.ts -->";

export function instrumentsTable(): string {
  return [
    "| OpenTelemetry | Prometheus | kind | unit | meaning |",
    "|---|---|---|---|---|",
    ...instruments.map((instrument) => {
      const { name, kind, unit, description } = instrument;
      return `| \`${name}\` | \`${prometheusName(instrument)}\` | ${kind} | \`${unit}\` | ${description} |`;
    }),
  ].join("\n");
}
