// The one table of settings. Validation, the names of environment variables, --print-config and docs/configuration.md
// are all made from it; a setting that is not here does not exist.

interface SettingBase {
  /** What it means, one sentence or two. */
  readonly doc: string;
  /** Where the rule "FILA_SECTION_KEY" does not give the name of its environment variable. */
  readonly env?: string;
  /** The variable by which OpenTelemetry knows it; holds when its own is not set. Empty = not set. */
  readonly standardEnv?: string;
}

export interface TextSetting extends SettingBase {
  readonly kind: "text";
  readonly default: string;
}

/** "host:port"; an IPv6 host stands in brackets. */
export interface AddressSetting extends SettingBase {
  readonly kind: "address";
  readonly default: string;
}

export interface FlagSetting extends SettingBase {
  readonly kind: "flag";
  readonly default: boolean;
}

/** A whole number; the unit is the end of the setting's name. */
export interface NumberSetting extends SettingBase {
  readonly kind: "number";
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/** Of an HTTP server; "" = none. */
export interface UrlSetting extends SettingBase {
  readonly kind: "url";
  readonly default: string;
}

export interface ChoiceSetting extends SettingBase {
  readonly kind: "choice";
  readonly choices: readonly string[];
  readonly default: string;
}

/** Origins as browsers send them, or "*"; in the environment separated by commas. */
export interface OriginsSetting extends SettingBase {
  readonly kind: "origins";
  readonly default: readonly string[];
}

export type Setting =
  TextSetting | AddressSetting | FlagSetting | NumberSetting | UrlSetting | ChoiceSetting | OriginsSetting;

/** Of whatever setting. */
export type SettingValue = string | number | boolean | readonly string[];

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

export const settings = {
  "server.listen_addr": {
    kind: "address",
    default: "127.0.0.1:5555",
    doc: "Address and port that serve every protocol. Port 0 takes any free port. An address that is not loopback also needs `server.insecure`.",
  },
  "server.insecure": {
    kind: "flag",
    default: false,
    doc: "Allows listening beyond loopback although clients are neither authenticated nor encrypted: whoever reaches the port owns the broker.",
  },
  "server.cors_origins": {
    kind: "origins",
    default: [],
    doc: "Web pages of these origins may call the broker from a browser. In the environment separated by commas.",
  },
  "server.drain_deadline_ms": {
    kind: "number",
    default: 10_000,
    min: 0,
    max: 600_000,
    doc: "How long a stopping broker waits for workers to settle what they hold before it ends their streams.",
  },
  "storage.data_dir": {
    kind: "text",
    default: "./fila-data",
    env: "FILA_DATA_DIR",
    doc: "Directory of the store, created with mode 0700. A relative path starts at the working directory. One broker at a time.",
  },
  "storage.write_buffer_bytes": {
    kind: "number",
    default: 64 * MiB,
    min: 1 * MiB,
    max: 1 * GiB,
    doc: "LevelDB's write buffer. Larger means fewer and bigger compactions, and more memory.",
  },
  "storage.payload_cache_bytes": {
    kind: "number",
    default: 64 * MiB,
    min: 0,
    max: 64 * GiB,
    doc: "Memory for the bytes of recent messages, so that a message consumed soon is not read back from disk. 0 = none.",
  },
  "storage.checkpoint_journal_bytes": {
    kind: "number",
    default: 16 * MiB,
    min: 64 * KiB,
    max: 1 * GiB,
    doc: "How much journal may accumulate before a checkpoint. Smaller means a faster start after a crash, and more writing.",
  },
  "limits.max_message_bytes": {
    kind: "number",
    default: 1 * MiB,
    min: 1 * KiB,
    max: 60 * MiB,
    doc: "Largest payload of one message. Must leave at least 64 KiB of `limits.read_max_bytes` for headers and framing.",
  },
  "limits.max_queues": {
    kind: "number",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: "How many queues may exist.",
  },
  "limits.read_max_bytes": {
    kind: "number",
    default: 4 * MiB,
    min: 128 * KiB,
    max: 64 * MiB,
    doc: "Largest single request, or frame of a streamed request, that is read.",
  },
  "limits.max_connections": {
    kind: "number",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: "How many connections may be open at once. Further ones are closed at once.",
  },
  "lua.thread": {
    kind: "choice",
    choices: ["worker", "main"],
    default: "worker",
    doc: "Where scripts of queues run: on a thread of their own, which is watched from outside, or on the broker's, for machines with a single core.",
  },
  "lua.default_timeout_ms": {
    kind: "number",
    default: 10,
    min: 1,
    max: 1_000,
    doc: "What one call of a script may do, as milliseconds of 10,000 instructions and library steps each: 100,000 of them by default. Counted, not timed.",
  },
  "lua.default_memory_limit_bytes": {
    kind: "number",
    default: 1 * MiB,
    min: 16 * KiB,
    max: 64 * MiB,
    doc: "What one call of a script may allocate in all, garbage included.",
  },
  "lua.circuit_breaker_threshold": {
    kind: "number",
    default: 3,
    min: 1,
    max: 1_000,
    doc: "Failures of a script in a row after which it is not called until its cooldown is over.",
  },
  "lua.circuit_breaker_cooldown_ms": {
    kind: "number",
    default: 10_000,
    min: 1,
    max: 3_600_000,
    doc: "How long a script that failed too often is not called. Then one call tries it.",
  },
  "telemetry.metrics": {
    kind: "flag",
    default: true,
    doc: "Counts what docs/observability.md lists. Without it `/metrics` has nothing, and nothing is exported.",
  },
  "telemetry.otlp_endpoint": {
    kind: "url",
    default: "",
    standardEnv: "OTEL_EXPORTER_OTLP_ENDPOINT",
    doc: "Where metrics are sent as OTLP over HTTP (a collector's port 4318, not the 4317 of gRPC), below its `/v1/metrics`.",
  },
  "telemetry.service_name": {
    kind: "text",
    default: "fila",
    standardEnv: "OTEL_SERVICE_NAME",
    doc: "The `service.name` of what is exported.",
  },
  "telemetry.metrics_interval_ms": {
    kind: "number",
    default: 10_000,
    min: 100,
    max: 3_600_000,
    standardEnv: "OTEL_METRIC_EXPORT_INTERVAL",
    doc: "Time between two exports.",
  },
  "telemetry.log_level": {
    kind: "choice",
    choices: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    doc: "What is logged: events of this level and above. SIGUSR2 switches a running broker to `debug` and back.",
  },
} as const satisfies Record<`${string}.${string}`, Setting>;

export type SettingName = keyof typeof settings;

type ValueOf<S extends Setting> = S extends { kind: "number" }
  ? number
  : S extends { kind: "flag" }
    ? boolean
    : S extends { choices: readonly (infer Choice)[] }
      ? Choice
      : S extends { kind: "origins" }
        ? readonly string[]
        : string;

/** Every setting with its value. Frozen at start. */
export type Config = { readonly [K in SettingName]: ValueOf<(typeof settings)[K]> };

export const settingNames = Object.keys(settings) as readonly SettingName[];

/**
 * Keys that operators of this protocol already write and that change nothing here: accepted, with one warning for all.
 */
export const ignoredKeys: Readonly<Record<string, string>> = {
  "scheduler.quantum": "the quantum is always 1",
  "scheduler.command_channel_capacity": "there is no such channel",
  "scheduler.idle_timeout_ms": "the scheduler does not poll",
};

/**
 * Keys that ask for protection which does not exist yet. Whoever sets one must not end up with an open broker, so the
 * broker refuses to start. Their values may be secrets and are never shown.
 */
export const protectionKeys: Readonly<Record<string, "TLS" | "authentication">> = {
  "tls.cert_file": "TLS",
  "tls.key_file": "TLS",
  "tls.ca_file": "TLS",
  "auth.bootstrap_apikey": "authentication",
};

/** Other names under which a key is known, each with the name that it stands for. */
export const aliases: Readonly<Record<string, string>> = {
  "tls.server_cert": "tls.cert_file",
  "tls.server_key": "tls.key_file",
  "tls.ca_cert": "tls.ca_file",
  "server.bootstrap_apikey": "auth.bootstrap_apikey",
};

/** Every key that may stand in fila.toml. */
export const knownKeys: readonly string[] = [
  ...settingNames,
  ...Object.keys(ignoredKeys),
  ...Object.keys(protectionKeys),
  ...Object.keys(aliases),
];

/** The environment variable of a key. */
export function environmentName(key: string): string {
  if (key === "auth.bootstrap_apikey") return "FILA_BOOTSTRAP_APIKEY";
  const setting: Setting | undefined = Object.hasOwn(settings, key) ? settings[key as SettingName] : undefined;
  return setting?.env ?? `FILA_${key.replace(".", "_").toUpperCase()}`;
}
