// "host:port" as it stands in the configuration.
import { isIPv4, isIPv6 } from "node:net";

export interface ListenAddress {
  /** Without brackets; "" = every interface. */
  readonly host: string;
  readonly port: number;
}

/** undefined: not an address. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:[\]/]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  const bracketed = match[1];
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  return { host: match[2] ?? "", port };
}

/** Whether only programs of this machine reach it. A name that is not "localhost" may resolve to anything. */
export function isLoopback(host: string): boolean {
  const bare = host.toLowerCase();
  if (bare === "localhost") return true;
  if (isIPv4(bare)) return bare.startsWith("127.");
  return bare === "::1" || /^::ffff:127\.\d+\.\d+\.\d+$/.test(bare);
}

/** As a client writes it. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
