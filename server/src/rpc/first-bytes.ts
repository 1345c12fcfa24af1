// Tells HTTP/2 from HTTP/1 by the first bytes of a connection.
import type { Socket } from "node:net";

/** What every HTTP/2 client sends first (RFC 9113, section 3.4). No request of HTTP/1 can begin so. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** "PRI" tells it from every method of HTTP/1; with fewer bytes (POST, PUT, PATCH) it is open. */
const ENOUGH_BYTES = 3;

export type Protocol = "http1" | "http2";

/** undefined: these bytes do not tell yet. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  const compared = Math.min(bytes.length, PREFACE.length);
  if (PREFACE.compare(bytes, 0, compared, 0, compared) !== 0) return "http1";
  return compared >= ENOUGH_BYTES ? "http2" : undefined;
}

/**
 * Calls `decided` once the socket's first bytes tell, with those bytes put back and the socket paused. A socket that
 * sends too little for `timeoutMs`, or ends before, is destroyed.
 */
export function readFirstBytes(socket: Socket, timeoutMs: number, decided: (protocol: Protocol) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const giveUp = (): void => {
    socket.destroy();
  };
  const timer = setTimeout(giveUp, timeoutMs);
  // A closed socket must not be kept in memory by its timer.
  const closed = (): void => clearTimeout(timer);
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    clearTimeout(timer);
    socket.off("data", onData);
    socket.off("end", giveUp);
    socket.off("close", closed);
    socket.pause();
    socket.unshift(seen);
    decided(protocol);
  };
  socket.on("data", onData);
  socket.on("end", giveUp);
  socket.on("close", closed);
}
