// `--print-config`: what holds, and where it came from. The output is itself a fila.toml.
import type { LoadedConfig } from "./load-config.ts";
import { settingNames, type Config, type SettingName } from "./settings.ts";

export function printConfig({ config, origin }: LoadedConfig): string {
  const lines: string[] = [];
  let section = "";
  for (const name of settingNames) {
    const dot = name.indexOf(".");
    if (name.slice(0, dot) !== section) {
      section = name.slice(0, dot);
      lines.push(...(lines.length > 0 ? [""] : []), `[${section}]`);
    }
    lines.push(`${`${name.slice(dot + 1)} = ${JSON.stringify(config[name])}`.padEnd(48)} # ${origin(name)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The same for programs: each setting by its name. */
export function configAsJson({
  config,
  origin,
}: LoadedConfig): Partial<Record<SettingName, { value: Config[SettingName]; origin: string }>> {
  return Object.fromEntries(settingNames.map((name) => [name, { value: config[name], origin: origin(name) }]));
}
