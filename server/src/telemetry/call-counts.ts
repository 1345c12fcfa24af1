// Calls by method and status. A unary call costs tens of microseconds, a look into a small map tens of nanoseconds.

/** gRPC's names of the status codes, by number. */
const codeNames = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"],
  ...["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"],
  ...["INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"],
];

export interface CallCount {
  readonly method: string;
  readonly code: string;
  readonly count: number;
}

export class CallCounts {
  readonly #byMethod = new Map<string, number[]>();

  /** A call is over.
   * @param method one of a closed set of names, never what a client sent
   * @param code gRPC's number of the status */
  count(method: string, code: number): void {
    let codes = this.#byMethod.get(method);
    if (codes === undefined) {
      codes = new Array<number>(codeNames.length).fill(0);
      this.#byMethod.set(method, codes);
    }
    const known = code in codeNames ? code : 2;
    codes[known] = (codes[known] as number) + 1;
  }

  *all(): Iterable<CallCount> {
    for (const [method, codes] of this.#byMethod) {
      for (const [code, count] of codes.entries()) {
        if (count > 0) yield { method, code: codeNames[code] as string, count };
      }
    }
  }
}
