// Which fila this is. Apart from the command, so that `fila --version` need not load what commands need.
import { readFileSync } from "node:fs";
import { stdio } from "./stdio.ts";

export interface Version {
  readonly version: string;
  readonly platform: string;
  readonly node: string;
}

export function versionOf(packageJson: URL): Version {
  const { version } = JSON.parse(readFileSync(packageJson, "utf8")) as { version: string };
  return { version, platform: `${process.platform}-${process.arch}`, node: process.version };
}

export function printVersion(version: Version, json: boolean): void {
  const { version: number, platform, node } = version;
  stdio().stdout.write(json ? `${JSON.stringify(version)}\n` : `fila ${number} ${platform} node-${node}\n`);
}
