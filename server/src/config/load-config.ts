// Where the configuration comes from: environment, else fila.toml, else defaults.
import { readFileSync } from "node:fs";
import path from "node:path";
import { ConfigError, ConfigFile, isTable } from "./config-file.ts";
import { isLoopback, parseListenAddress } from "./listen-address.ts";
import { nearestKey } from "./nearest-key.ts";
import { checkValue, fromEnvironment } from "./setting-values.ts";
import {
  aliases,
  environmentName,
  ignoredKeys,
  knownKeys,
  protectionKeys,
  settingNames,
  settings,
  type Config,
  type Setting,
  type SettingName,
  type SettingValue,
} from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadedConfig {
  readonly config: Config;
  /** Where the value of a setting came from, for people. */
  readonly origin: (name: SettingName) => string;
  /** Each one line. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  readonly cwd: string;
  readonly env: Environment;
  /** The file to read instead of all others; it must be there. Relative to the working directory. */
  readonly file?: string;
  /** The file that is read where the working directory has none. Set by tests. */
  readonly systemFile?: string;
}

/** Throws ConfigError, whose message is one line that says where, what and what to do. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = readConfigFile(sources);
  const fromFile = file === undefined ? new Map<string, Entry>() : canonicalEntries(file);
  refuseMissingProtection(file, fromFile, sources.env);

  const values: Partial<Record<SettingName, SettingValue>> = {};
  const origins = new Map<SettingName, () => string>();
  for (const name of settingNames) {
    const variable = variableOf(name, sources.env);
    const text = sources.env[variable];
    const entry = fromFile.get(name);
    if (text !== undefined) {
      values[name] = checkValue(name, fromEnvironment(settings[name], text), variable);
      origins.set(name, () => `environment ${variable}`);
    } else if (entry !== undefined && file !== undefined) {
      values[name] = checkValue(name, entry.value, () => `${file.place(entry.written)}: ${entry.written}`);
      origins.set(name, () => file.place(entry.written));
    } else {
      values[name] = settings[name].default;
    }
  }
  const config = Object.freeze(values) as Config;
  const origin = (name: SettingName): string => origins.get(name)?.() ?? "default";
  checkTogether(config, origin);
  return { config, origin, warnings: warningsOf(file, fromFile, sources.env) };
}

/** The variable that decides: the setting's own, else the one that is standard for it. */
function variableOf(name: SettingName, env: Environment): string {
  const own = environmentName(name);
  const { standardEnv }: Setting = settings[name];
  return env[own] === undefined && standardEnv !== undefined && (env[standardEnv] ?? "") !== "" ? standardEnv : own;
}

/** The defaults with what an embedding program sets itself. Checked like a file. */
export function configWith(given: Partial<Config>): Config {
  const values: Partial<Record<SettingName, SettingValue>> = {};
  for (const name of settingNames) values[name] = checkValue(name, given[name] ?? settings[name].default, name);
  const config = Object.freeze(values) as Config;
  checkTogether(config, (name) => name);
  return config;
}

interface Entry {
  /** The key as it stands in the file, which may be an alias. */
  readonly written: string;
  readonly value: unknown;
}

function readConfigFile(sources: ConfigSources): ConfigFile | undefined {
  if (sources.file !== undefined) {
    try {
      return new ConfigFile(sources.file, readFileSync(path.resolve(sources.cwd, sources.file), "utf8"));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const code = (error as NodeJS.ErrnoException).code ?? "";
      throw new ConfigError(
        `${sources.file}: ${code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`}`,
      );
    }
  }
  for (const [shown, file] of [
    ["fila.toml", path.join(sources.cwd, "fila.toml")],
    [sources.systemFile ?? "/etc/fila/fila.toml", sources.systemFile ?? "/etc/fila/fila.toml"],
  ] as const) {
    try {
      return new ConfigFile(shown, readFileSync(file, "utf8"));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const code = (error as NodeJS.ErrnoException).code ?? "";
      // A file that is there and cannot be read is not the same as none: it may hold what keeps the broker safe.
      if (code !== "ENOENT" && code !== "ENOTDIR") throw new ConfigError(`${shown}: cannot be read (${code})`);
    }
  }
  return undefined;
}

function canonicalEntries(file: ConfigFile): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [written, value] of file.entries) {
    if (isTable(value) && knownKeys.some((key) => key.startsWith(`${written}.`))) continue;
    if (!knownKeys.includes(written)) throw unknownKey(file, written);
    const key = Object.hasOwn(aliases, written) ? aliases[written]! : written;
    const other = entries.get(key);
    if (other !== undefined) {
      throw new ConfigError(`${file.place(written)}: ${written} is set already, as ${other.written}; keep one of them`);
    }
    entries.set(key, { written, value });
  }
  return entries;
}

function unknownKey(file: ConfigFile, written: string): ConfigError {
  const nearest = nearestKey(written, knownKeys);
  const dot = nearest?.indexOf(".") ?? -1;
  const hint = nearest === undefined ? "" : `; did you mean ${nearest.slice(dot + 1)} in [${nearest.slice(0, dot)}]?`;
  return new ConfigError(`${file.place(written)}: unknown key ${written}${hint}`);
}

function refuseMissingProtection(
  file: ConfigFile | undefined,
  entries: ReadonlyMap<string, Entry>,
  env: Environment,
): void {
  for (const [key, protection] of Object.entries(protectionKeys)) {
    const variable = environmentName(key);
    const entry = entries.get(key);
    let where: string;
    if (env[variable] !== undefined) where = `environment: ${variable}`;
    else if (entry !== undefined && file !== undefined) where = `${file.place(entry.written)}: ${entry.written}`;
    else continue;
    throw new ConfigError(
      `${where} asks for ${protection}, which this version does not have yet. Rather than run unprotected, the broker ` +
        `does not start: remove the key and listen on loopback only`,
    );
  }
}

function checkTogether(config: Config, origin: (name: SettingName) => string): void {
  const address = config["server.listen_addr"];
  const { host } = parseListenAddress(address)!;
  if (!isLoopback(host) && !config["server.insecure"]) {
    throw new ConfigError(
      `${origin("server.listen_addr")}: ${address} can be reached from other machines, and this version has neither TLS ` +
        `nor authentication yet. Listen on 127.0.0.1, or set insecure = true in [server] (FILA_SERVER_INSECURE=true)`,
    );
  }
  const room = 64 * 1024;
  if (config["limits.max_message_bytes"] + room > config["limits.read_max_bytes"]) {
    throw new ConfigError(
      `${origin("limits.max_message_bytes")}: limits.max_message_bytes (${config["limits.max_message_bytes"]}) must be at ` +
        `least ${room} below limits.read_max_bytes (${config["limits.read_max_bytes"]})`,
    );
  }
}

function warningsOf(file: ConfigFile | undefined, entries: ReadonlyMap<string, Entry>, env: Environment): string[] {
  const warnings: string[] = [];
  const without = Object.entries(ignoredKeys).flatMap(([key, why]) => {
    if (env[environmentName(key)] !== undefined) return [`${environmentName(key)} (${why})`];
    return entries.has(key) ? [`${key} (${why})`] : [];
  });
  if (without.length > 0) {
    warnings.push(`${file?.path ?? "environment"}: accepted, but without effect: ${without.join(", ")}`);
  }
  const variables = new Map(knownKeys.map((key) => [environmentName(key), key]));
  const sections = new Set(knownKeys.map((key) => `FILA_${key.slice(0, key.indexOf(".")).toUpperCase()}_`));
  for (const name of Object.keys(env)) {
    // Other programs have variables of their own that begin with FILA_, so an unknown one is no error.
    if (variables.has(name) || ![...sections].some((section) => name.startsWith(section))) continue;
    const nearest = nearestKey(name.slice("FILA_".length).replace("_", "."), knownKeys);
    warnings.push(
      `environment variable ${name} names no setting${nearest ? `; did you mean ${environmentName(nearest)}?` : ""}`,
    );
  }
  return warnings;
}
