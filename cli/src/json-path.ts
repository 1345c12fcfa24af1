// A path into a JSON value: ".tenant", ".user.id", ".items[0].id", ".\"two words\"", "[\"two words\"]", "." (all of it).
import { UsageError } from "./command-failure.ts";

type Step = string | number;

const step = /\.([A-Za-z_$][\w$-]*)|\.?\[(\d+)\]|\.?\[("(?:[^"\\]|\\.)*")\]|\.("(?:[^"\\]|\\.)*")/y;

export class JsonPath {
  readonly #steps: readonly Step[];

  /** `flag` is what the message calls it. Throws UsageError. */
  constructor(flag: string, text: string) {
    const steps: Step[] = [];
    step.lastIndex = 0;
    while (text !== "." && step.lastIndex < text.length) {
      const at = step.lastIndex;
      const [matched, name, index, bracketed, quoted] = step.exec(text) ?? [];
      const key = keyOf(bracketed ?? quoted);
      if (matched === undefined || (name ?? index ?? key) === undefined) {
        throw new UsageError(
          `${flag} ${text}: cannot be read from ${JSON.stringify(text.slice(at))} on; ` +
            `write a path such as .tenant, .user.id, .items[0].id or ."two words"`,
        );
      }
      steps.push(index === undefined ? (name ?? key)! : Number(index));
    }
    if (text === "") throw new UsageError(`${flag} is empty; write a path such as .tenant`);
    this.#steps = steps;
  }

  /** What is there; undefined: nothing. Only what the value itself holds counts, not what its prototype has. */
  of(value: unknown): unknown {
    let at = value;
    for (const step of this.#steps) {
      if (typeof at !== "object" || at === null) return undefined;
      if (Array.isArray(at) !== (typeof step === "number") || !Object.hasOwn(at, step)) return undefined;
      at = (at as Record<Step, unknown>)[step];
    }
    return at;
  }
}

function keyOf(quoted: string | undefined): string | undefined {
  if (quoted === undefined) return undefined;
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}
