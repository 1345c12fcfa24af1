/** A promise of the broker is broken. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
}

export function fail(what: string): never {
  throw new SimulationFailure(what);
}

/** The text is made only when the promise is broken. */
export function expect(holds: boolean, what: () => string): asserts holds {
  if (!holds) fail(what());
}
