/**
 * Starting a broker inside another program: `fila server` does it, tests do it.
 *
 * @example
 * const server = await startServer({ "server.listen_addr": "127.0.0.1:0", "storage.data_dir": directory });
 * // ... connect to server.url ...
 * await server.stop();
 */
import { compose } from "./compose.ts";
import type { RunningServer, StorageKind } from "./compose.ts";
import { configWith } from "./config/load-config.ts";
import type { Config } from "./config/settings.ts";
import { startError } from "./start-error.ts";
import { stderrLog } from "./telemetry/log.ts";
import type { Log } from "./telemetry/log.ts";

export type { RunningServer, StorageKind } from "./compose.ts";
export { ConfigError } from "./config/config-file.ts";
export { loadConfig } from "./config/load-config.ts";
export type { ConfigSources, LoadedConfig } from "./config/load-config.ts";
export { printConfig } from "./config/print-config.ts";
export type { Config, SettingName } from "./config/settings.ts";
export { runServer } from "./run-server.ts";
export { StartError } from "./start-error.ts";
export { silentLog } from "./telemetry/log.ts";
export type { Log, LogFields } from "./telemetry/log.ts";

export interface StartOptions {
  /** Default: lines on standard error, of `telemetry.log_level` and above. */
  readonly log?: Log;
  /** Called when the broker's state can no longer be trusted. Default: throws, which ends a process that does not catch
   * it. The program must not go on using the broker. */
  readonly fatal?: (error: unknown) => void;
  /** "memory" keeps nothing beyond the end of the broker, and uses no data directory. Default: "level", the disk. */
  readonly storage?: StorageKind;
}

/**
 * Starts a broker with these settings over the defaults. Neither files nor the environment are read: give it the
 * `config` of `loadConfig` for that. Rejects with StartError, whose message is one line for people.
 */
export async function startServer(settings: Partial<Config> = {}, options: StartOptions = {}): Promise<RunningServer> {
  let config: Config;
  try {
    config = configWith(settings);
  } catch (error) {
    throw startError(error, "");
  }
  return compose(config, {
    storage: options.storage,
    log: options.log ?? stderrLog(config["telemetry.log_level"]),
    fatal:
      options.fatal ??
      ((error) => {
        // Out of the broker's call stack, where nobody can catch it by accident.
        process.nextTick(() => {
          throw error;
        });
      }),
  });
}
