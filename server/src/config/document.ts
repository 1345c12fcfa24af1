// The tables of docs/configuration.md, made from the table of settings. A test compares.
import { expectation } from "./setting-values.ts";
import {
  aliases,
  environmentName,
  ignoredKeys,
  protectionKeys,
  settingNames,
  settings,
  type Setting,
} from "./settings.ts";

export const BEGIN = "<!-- begin: made from server/src/config/settings.ts -->";
export const END = "<!-- end: made from server/src/config/settings.ts -->";

export function configurationTables(): string {
  return [
    "| setting | default | takes | environment | meaning |",
    "|---|---|---|---|---|",
    ...settingNames.map((name) => {
      const setting: Setting = settings[name];
      const variables = [environmentName(name), setting.standardEnv].filter((variable) => variable !== undefined);
      const value =
        setting.default === "" || Array.isArray(setting.default)
          ? JSON.stringify(setting.default)
          : String(setting.default);
      return `| \`${name}\` | \`${value}\` | ${expectation(setting)} | ${variables.map((variable) => `\`${variable}\``).join(", ")} | ${setting.doc} |`;
    }),
    "",
    "Keys that ask for protection. This version has neither TLS nor authentication yet: with one of them set, the broker",
    "refuses to start rather than run unprotected.",
    "",
    "| key | also written as | environment | asks for |",
    "|---|---|---|---|",
    ...Object.entries(protectionKeys).map(([key, protection]) => {
      const others = Object.keys(aliases).filter((alias) => aliases[alias] === key);
      return `| \`${key}\` | ${others.map((alias) => `\`${alias}\``).join(", ")} | \`${environmentName(key)}\` | ${protection} |`;
    }),
    "",
    "Keys that are accepted and change nothing; one warning at start names those that are set.",
    "",
    "| key | because |",
    "|---|---|",
    ...Object.entries(ignoredKeys).map(([key, why]) => `| \`${key}\` | ${why} |`),
  ].join("\n");
}
