// The leases settled last, so that a settlement sent twice because its first answer was lost is answered OK again. A
// fixed table, direct-mapped by the token: a later settlement may push out an earlier one, never the other way round.
import type { LeaseToken, SettleAction } from "./commands.ts";

const size = 1 << 16;
const codes = { ack: 1, nack: 2, release: 3, extend: 0 } as const satisfies Record<SettleAction, number>;

export class RecentSettlements {
  #high: Uint32Array | undefined;
  #low: Uint32Array | undefined;
  #action: Uint8Array | undefined;

  add(token: LeaseToken, action: Exclude<SettleAction, "extend">): void {
    this.#high ??= new Uint32Array(size);
    this.#low ??= new Uint32Array(size);
    this.#action ??= new Uint8Array(size);
    const at = token.low & (size - 1);
    this.#high[at] = token.high;
    this.#low[at] = token.low;
    this.#action[at] = codes[action];
  }

  has(token: LeaseToken, action: SettleAction): boolean {
    if (this.#high === undefined || this.#low === undefined || this.#action === undefined) return false;
    const at = token.low & (size - 1);
    const code = codes[action];
    return code !== 0 && this.#action[at] === code && this.#high[at] === token.high && this.#low[at] === token.low;
  }
}
