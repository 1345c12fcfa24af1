// The dependency graph as code: configuration -> storage -> broker -> rpc -> port.
import { openBroker } from "./broker/open-broker.ts";
import { formatAddress, parseListenAddress } from "./config/listen-address.ts";
import type { Config } from "./config/settings.ts";
import { openHooks } from "./hooks/open-hooks.ts";
import { Measurement, serverVersion } from "./measurement.ts";
import { authenticateNobody } from "./rpc/access/principal.ts";
import { startRpc } from "./rpc/rpc-server.ts";
import { startError } from "./start-error.ts";
import { openLevelStorage } from "./storage/level/open.ts";
import { MemoryDisk, openMemoryStorage } from "./storage/memory/memory-storage.ts";
import type { Storage } from "./storage/port.ts";
import type { Log } from "./telemetry/log.ts";

export interface RunningServer {
  /** Where it listens, with the port that it really has. */
  readonly address: { readonly host: string; readonly port: number };
  /** For clients on this machine, like "http://127.0.0.1:5555". */
  readonly url: string;
  /** Stops taking, waits up to `server.drain_deadline_ms` for workers to settle what they hold, then ends streams and
   * closes the store. Every call gives the same promise. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly log: Log;
  /** The process must end: its state can be rebuilt, and going on with a wrong one would lose messages. */
  readonly fatal: (error: unknown) => void;
  /** Default: "level". */
  readonly storage?: StorageKind | undefined;
}

/** "level": on disk, in `storage.data_dir`. "memory": nothing outlives the broker, and its memory is the only bound. */
export type StorageKind = "level" | "memory";

/** What a millisecond of `lua.default_timeout_ms` stands for. */
const stepsPerMs = 10_000;

/** How long answers and ends of streams may take to reach their clients once the broker has stopped. */
const LAST_WORDS_MS = 1000;

/** Rejects with StartError, whose message is one line that says what is wrong and what to do. */
export async function compose(config: Config, { log, fatal, storage }: ServerOptions): Promise<RunningServer> {
  const { host, port } = parseListenAddress(config["server.listen_addr"])!;
  const measurement = new Measurement(config, log);
  const { metrics } = measurement;
  try {
    const broker = await openBroker({
      open: storage === "memory" ? memory() : level(config),
      maxQueues: config["limits.max_queues"],
      payloadCacheBytes: config["storage.payload_cache_bytes"],
      checkpointJournalBytes: config["storage.checkpoint_journal_bytes"],
      observer: metrics?.observer,
      hooks: openHooks({
        thread: config["lua.thread"],
        steps: config["lua.default_timeout_ms"] * stepsPerMs,
        bytes: config["lua.default_memory_limit_bytes"],
        threshold: config["lua.circuit_breaker_threshold"],
        cooldownMs: config["lua.circuit_breaker_cooldown_ms"],
        observer: metrics?.hookObserver,
        log,
      }),
      log,
      fatal,
    });
    const rpc = await startRpc({
      broker,
      host,
      port,
      maxConnections: config["limits.max_connections"],
      readMaxBytes: config["limits.read_max_bytes"],
      maxMessageBytes: config["limits.max_message_bytes"],
      corsOrigins: config["server.cors_origins"],
      authenticate: authenticateNobody,
      metrics: measurement.scrape,
      onCall: metrics?.onCall,
      log,
    }).catch(async (error: unknown) => {
      await broker.stop(0);
      throw error;
    });
    await measurement.start({ broker: () => broker.read(), open: () => rpc.open() });
    const { queues } = broker.read();
    const messages = queues.reduce((sum, { depth }) => sum + depth, 0);
    const address = formatAddress(rpc.host, rpc.port);
    log.info("the broker serves", { address, version: serverVersion(), queues: queues.length, messages });
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      rpc.drain();
      await broker.stop(config["server.drain_deadline_ms"]);
      await Promise.all([rpc.close(LAST_WORDS_MS), measurement.stop()]);
      log.info("the broker has stopped");
    };
    return {
      address: { host: rpc.host, port: rpc.port },
      url: `http://${formatAddress(reachableHost(rpc.host), rpc.port)}`,
      stop: () => (stopped ??= stop()),
    };
  } catch (error) {
    await measurement.stop();
    throw startError(error, config["server.listen_addr"]);
  }
}

function level(config: Config): () => Promise<Storage> {
  return () => openLevelStorage(config["storage.data_dir"], { writeBufferBytes: config["storage.write_buffer_bytes"] });
}

/** Reopening finds what was there, as long as this broker lives. */
function memory(): () => Promise<Storage> {
  const disk = new MemoryDisk();
  return async () => openMemoryStorage({ disk });
}

/** "Every interface" is no address that a client could use. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
