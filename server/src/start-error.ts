// Why the server could not start, for the person who started it.
import { ConfigError } from "./config/config-file.ts";
import { StorageError } from "./storage/port.ts";

/** The message is one line that says what is wrong and what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there: stop it, or choose another address",
  EACCES: "this user may not listen there: choose a port of 1024 or above",
  EADDRNOTAVAIL: "this machine has no such address: choose another one",
  ENOTFOUND: "the name is not known: choose another address",
};

/** Expected problems become a StartError; anything else is a bug and stays as it is. */
export function startError(error: unknown, listenAddress: string): unknown {
  if (error instanceof ConfigError || error instanceof StorageError) {
    return new StartError(oneLine(error.message), { cause: error });
  }
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  if (error.syscall !== "listen" && error.syscall !== "getaddrinfo") return error;
  const code = "code" in error ? String(error.code) : "";
  const why = listenProblems[code] ?? `it cannot be listened on (${code})`;
  return new StartError(`${listenAddress}: ${why} (listen_addr in [server], FILA_SERVER_LISTEN_ADDR)`, {
    cause: error,
  });
}

function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, " ");
}
