// What a script answered, read without running any of its code: raw reads only, so that a hostile __index never runs.
import type { EnqueueDecision, FailureDecision } from "../script-engine.ts";
import { luaH_getint, luaH_getstr } from "./fengari/index.js";
import type { TString, TValue, Table } from "./fengari/index.js";
import { bytesOf, isNil, isString, isTable, luaName, numberOf, tableOf, typeName, utf8Text } from "./lua-values.ts";

/** As the limits of the wire; see rpc/wire/limits.ts. */
export const answerLimits = {
  fairnessKeyBytes: 256,
  throttleKeys: 16,
  throttleKeyBytes: 247,
  /** Of weight and cost. */
  greatest: 1_000,
  delayMs: 365 * 86_400_000,
} as const;

/** A decision, and what was wrong with the answer that it comes from. */
export interface Judged<Decision> {
  readonly decision: Decision;
  /** Shared when there are none. */
  readonly warnings: readonly string[];
}

const noWarnings: readonly string[] = Object.freeze([]);
const noEnqueueDecision: EnqueueDecision = Object.freeze({
  fairnessKey: undefined,
  weight: undefined,
  cost: undefined,
  throttleKeys: undefined,
  delayMs: undefined,
});
const noFailureDecision: FailureDecision = Object.freeze({ action: undefined, delayMs: undefined });

const names = {
  fairnessKey: luaName("fairness_key"),
  weight: luaName("weight"),
  cost: luaName("cost"),
  throttleKeys: luaName("throttle_keys"),
  delayMs: luaName("delay_ms"),
  action: luaName("action"),
};

export function enqueueDecision(answer: TValue): Judged<EnqueueDecision> {
  if (!isTable(answer)) return noTable(answer, noEnqueueDecision);
  const fields = new AnswerFields(tableOf(answer));
  const decision = {
    fairnessKey: fields.read(names.fairnessKey, "fairness_key", fairnessKey),
    weight: fields.read(names.weight, "weight", upToThousand),
    cost: fields.read(names.cost, "cost", upToThousand),
    throttleKeys: fields.read(names.throttleKeys, "throttle_keys", throttleKeys),
    delayMs: fields.read(names.delayMs, "delay_ms", delayMs),
  };
  return { decision, warnings: fields.warnings };
}

export function failureDecision(answer: TValue): Judged<FailureDecision> {
  if (!isTable(answer)) return noTable(answer, noFailureDecision);
  const fields = new AnswerFields(tableOf(answer));
  const decision = {
    action: fields.read(names.action, "action", action),
    delayMs: fields.read(names.delayMs, "delay_ms", delayMs),
  };
  return { decision, warnings: fields.warnings };
}

function noTable<Decision>(answer: TValue, decision: Decision): Judged<Decision> {
  if (isNil(answer)) return { decision, warnings: noWarnings };
  return { decision, warnings: [`the script answered a ${typeName(answer)}, not a table`] };
}

/** What a field must be, for the warning. */
class Invalid {
  readonly expected: string;
  constructor(expected: string) {
    this.expected = expected;
  }
}

class AnswerFields {
  readonly #answer: Table;
  warnings = noWarnings;

  constructor(answer: Table) {
    this.#answer = answer;
  }

  /** undefined: missing, or invalid, which warns. */
  read<Value>(field: TString, name: string, judge: (value: TValue) => Value | Invalid): Value | undefined {
    const value = luaH_getstr(this.#answer, field);
    if (isNil(value)) return undefined;
    const judged = judge(value);
    if (!(judged instanceof Invalid)) return judged;
    this.warnings = [...this.warnings, `${name} is ignored: ${judged.expected}, and it is ${described(value)}`];
    return undefined;
  }
}

/** Without what it says: that may be long, secret or unprintable. */
function described(value: TValue): string {
  if (isString(value)) return `a string of ${bytesOf(value).length} bytes`;
  const number = numberOf(value);
  return number === undefined ? `a ${typeName(value)}` : String(number);
}

/** undefined: no string, not of 1 to `most` bytes, or not valid UTF-8. */
function shortText(value: TValue, most: number): string | undefined {
  if (!isString(value)) return undefined;
  const bytes = bytesOf(value);
  return bytes.length >= 1 && bytes.length <= most ? utf8Text(bytes) : undefined;
}

const noFairnessKey = new Invalid(`it must be a string of 1 to ${answerLimits.fairnessKeyBytes} bytes of UTF-8`);
const fairnessKey = (value: TValue): string | Invalid =>
  shortText(value, answerLimits.fairnessKeyBytes) ?? noFairnessKey;

const notUpToThousand = new Invalid(`it must be a whole number of 1 to ${answerLimits.greatest}`);
function upToThousand(value: TValue): number | Invalid {
  const number = numberOf(value);
  const valid = number !== undefined && Number.isInteger(number) && number >= 1 && number <= answerLimits.greatest;
  return valid ? number : notUpToThousand;
}

const noDelay = new Invalid("it must be a number of milliseconds");
function delayMs(value: TValue): number | Invalid {
  const number = numberOf(value);
  if (number === undefined || Number.isNaN(number)) return noDelay;
  return Math.min(Math.max(Math.floor(number), 0), answerLimits.delayMs);
}

const noAction = new Invalid('it must be "retry" or "dlq"');
function action(value: TValue): "retry" | "dlq" | Invalid {
  const text = shortText(value, 5);
  return text === "retry" || text === "dlq" ? text : noAction;
}

const noThrottleKeys = new Invalid(
  `it must be a list of up to ${answerLimits.throttleKeys} strings of 1 to ${answerLimits.throttleKeyBytes} bytes of UTF-8`,
);
function throttleKeys(value: TValue): readonly string[] | Invalid {
  if (!isTable(value)) return noThrottleKeys;
  const list = tableOf(value);
  const keys = new Set<string>();
  for (let index = 1; index <= list.strong.size; index++) {
    // A hole, or a key that is no index of a list, shows as a missing one here.
    const key = shortText(luaH_getint(list, index), answerLimits.throttleKeyBytes);
    if (key === undefined || (keys.add(key), keys.size > answerLimits.throttleKeys)) return noThrottleKeys;
  }
  return [...keys].sort();
}
