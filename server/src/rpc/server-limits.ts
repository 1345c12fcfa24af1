// What one client may cost. Each of these was attacked with the library's default, which is "unlimited" for most; the
// attacks are in the design's security page and in listener.test.ts.

const KiB = 1024;
const MiB = 1024 * KiB;

export interface ServerLimits {
  /** A connection that has not said by then which protocol it speaks is closed. */
  readonly firstBytesTimeoutMs: number;
  /** A request whose headers (HTTP/1) or whose body is not there by then is refused. Streams in both directions have no
   * such limit: their bodies never end. */
  readonly bodyTimeoutMs: number;
  /** HTTP/2: how long a client may go on sending after its answer is complete. */
  readonly lateBodyMs: number;
  /** HTTP/1: a connection without a request for so long is closed. */
  readonly keepAliveMs: number;
  /** HTTP/2: after so long without any traffic the peer is asked for a sign of life. */
  readonly pingAfterMs: number;
  /** HTTP/2: a peer that gives none within this is gone. */
  readonly pingTimeoutMs: number;
  /** HTTP/2: a connection without a stream for so long is closed. */
  readonly idleSessionMs: number;
  /** Open streams of a connection of HTTP/2, and requests under way on one of HTTP/1. 10,000 idle streams took 543 MiB,
   * 100 took 91 MiB. */
  readonly maxConcurrentStreams: number;
  /** HTTP/2: what a client may send on one stream before the broker has read it. Holds a frame of 1,000 small messages. */
  readonly streamWindowBytes: number;
  /** HTTP/2: the same for one connection. */
  readonly sessionWindowBytes: number;
  /** HTTP/2, in MB: Node's 10 kills a stream with 16 frames of 1 MiB under way. */
  readonly maxSessionMemoryMb: number;
  /** HTTP/2: streams that a client may reset at once ("rapid reset"), and how many more per second. */
  readonly streamResetBurst: number;
  readonly streamResetRate: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaderPairs: number;
}

export const defaultServerLimits: ServerLimits = Object.freeze({
  firstBytesTimeoutMs: 10_000,
  bodyTimeoutMs: 10_000,
  lateBodyMs: 1000,
  keepAliveMs: 60_000,
  pingAfterMs: 30_000,
  pingTimeoutMs: 20_000,
  idleSessionMs: 600_000,
  maxConcurrentStreams: 1000,
  streamWindowBytes: 1 * MiB,
  sessionWindowBytes: 16 * MiB,
  maxSessionMemoryMb: 64,
  streamResetBurst: 1000,
  streamResetRate: 100,
  maxHeaderBytes: 16 * KiB,
  maxHeaderPairs: 128,
});
