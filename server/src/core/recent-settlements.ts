// The leases settled last, so that a settlement sent twice because its first answer was lost is answered OK again. A
// fixed table, direct-mapped by the token: a later settlement may push out an earlier one, whose repetition is then refused.
import type { LeaseToken, SettleAction } from "./commands.ts";

const size = 1 << 16;
const codes = { ack: 1, nack: 2, release: 3, extend: 0 } as const satisfies Record<SettleAction, number>;

class Rows {
  readonly high = new Uint32Array(size);
  readonly low = new Uint32Array(size);
  readonly action = new Uint8Array(size);
  readonly queueNumber = new Uint32Array(size);
  readonly sequence = new Float64Array(size);
}

export class RecentSettlements {
  /** Made with the first settlement: an idle broker stays small. */
  #rows: Rows | undefined;

  add(token: LeaseToken, action: Exclude<SettleAction, "extend">, queueNumber: number, sequence: number): void {
    const rows = (this.#rows ??= new Rows());
    const at = token.low & (size - 1);
    rows.high[at] = token.high;
    rows.low[at] = token.low;
    rows.action[at] = codes[action];
    rows.queueNumber[at] = queueNumber;
    rows.sequence[at] = sequence;
  }

  /** Whether this lease, of this very message, was settled in this way. */
  has(token: LeaseToken, action: SettleAction, queueNumber: number, sequence: number): boolean {
    const rows = this.#rows;
    if (rows === undefined) return false;
    const at = token.low & (size - 1);
    const code = codes[action];
    if (code === 0 || rows.action[at] !== code) return false;
    if (rows.high[at] !== token.high || rows.low[at] !== token.low) return false;
    return rows.queueNumber[at] === queueNumber && rows.sequence[at] === sequence;
  }
}
