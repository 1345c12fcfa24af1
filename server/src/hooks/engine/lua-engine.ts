// Lua on a hardened copy of fengari (see fengari/README.md). Each call has an environment of its own, in which the script's
// chunk runs anew, and the budgets of script-engine.ts; what calls share is frozen.
import { defaultBudgets, maxScriptBytes } from "../script-engine.ts";
import type {
  Budgets,
  CallResult,
  CompiledScript,
  EnqueueCall,
  EnqueueDecision,
  FailureCall,
  FailureDecision,
  HookName,
  ScriptEngine,
  ScriptFailure,
  ScriptWorld,
  Usage,
} from "../script-engine.ts";
import { enqueueDecision, failureDecision } from "./decisions.ts";
import type { Judged } from "./decisions.ts";
import {
  LClosure,
  Table,
  begin,
  exhausted,
  lua_load,
  lua_renewthread,
  luaD_call,
  luaD_pcall,
  luaG_line,
  luaH_getstr,
  luaL_error,
  meter,
  thread_status,
  usedSteps,
} from "./fengari/index.js";
import type { Proto, State, TString, TValue } from "./fengari/index.js";
import { openLibraries } from "./libraries.ts";
import { closure, copyOf, isFunction, luaName, nil, pop, push, table, utf8Bytes } from "./lua-values.ts";
import { MessageTables } from "./message-tables.ts";
import { budgetFailure, errorFailure, failure } from "./script-failure.ts";

const chunkName = utf8Bytes("=script");
const textOnly = utf8Bytes("t");
const format = utf8Bytes("%s");
const none = Object.freeze(nil());
/** Parsing has limits of its own: it is done once, and a script of 64 KiB takes more of both than a call does. */
const parsingBudgets: Budgets = { steps: 300_000, bytes: 8 << 20, stringBytes: maxScriptBytes, clockMs: 1_000 };
/** The stack of a thread that recursed deep is given back. */
const keptStack = 1_000;

class LuaScript implements CompiledScript {
  readonly hook: HookName;
  readonly functionName: TString;
  readonly main: Proto;

  constructor(hook: HookName, main: Proto) {
    this.hook = hook;
    this.functionName = luaName(hook);
    this.main = main;
  }
}

/** One run of a script: what it needs, and what it leaves. */
interface Run {
  readonly script: LuaScript;
  readonly environment: Table;
  /** undefined: only the chunk runs, and leaves the function that it defined as the value. */
  readonly message: TValue | undefined;
  value: TValue;
}

export class LuaEngine implements ScriptEngine {
  readonly #world: ScriptWorld;
  readonly #budgets: Budgets;
  readonly #environmentMetatable: Table;
  readonly #messages = new MessageTables();
  /** The numbers by which tostring names objects begin anew with each call. */
  readonly #firstId: number;
  #state: State;

  /** `budgets`: those left out have their defaults; Infinity takes one away. */
  constructor(world: ScriptWorld, budgets: Partial<Budgets> = {}) {
    this.#world = world;
    this.#budgets = { ...defaultBudgets, ...budgets };
    const { state, environmentMetatable } = openLibraries(world);
    this.#state = state;
    this.#environmentMetatable = environmentMetatable;
    this.#firstId = state.l_G.id_counter;
  }

  compile(hook: HookName, source: string): CompiledScript | ScriptFailure {
    const bytes = utf8Bytes(source);
    if (bytes.length > maxScriptBytes)
      return failure("syntax", 0, `the script has ${bytes.length} bytes; at most ${maxScriptBytes} are allowed`);
    begin(parsingBudgets, this.#world);
    const parsed = this.#parse(hook, bytes);
    if (!(parsed instanceof LuaScript)) return parsed;
    this.#begin();
    const run = this.#prepare(parsed, undefined);
    return this.#run(run) ?? (isFunction(run.value) ? parsed : failure("syntax", 0, undefinedFunction(hook)));
  }

  onEnqueue(script: CompiledScript, call: EnqueueCall): CallResult<EnqueueDecision> {
    this.#begin();
    return this.#call(script, this.#messages.ofEnqueue(this.#state, call), enqueueDecision);
  }

  onFailure(script: CompiledScript, call: FailureCall): CallResult<FailureDecision> {
    this.#begin();
    return this.#call(script, this.#messages.ofFailure(this.#state, call), failureDecision);
  }

  /** Before anything of a call is made. */
  #begin(): void {
    begin(this.#budgets, this.#world);
    this.#state.l_G.id_counter = this.#firstId;
  }

  #call<Decision>(
    script: CompiledScript,
    message: TValue,
    judge: (answer: TValue) => Judged<Decision>,
  ): CallResult<Decision> {
    const run = this.#prepare(script, message);
    const failed = this.#run(run);
    const usage = this.#usage();
    if (failed !== undefined) return { ok: false, failure: failed, usage };
    const { decision, warnings } = judge(run.value);
    return { ok: true, decision, warnings, usage };
  }

  #prepare(script: CompiledScript, message: TValue | undefined): Run {
    if (!(script instanceof LuaScript)) throw new TypeError("the script was not compiled by LuaEngine");
    const environment = new Table(this.#state);
    environment.metatable = this.#environmentMetatable;
    return { script, environment, message, value: none };
  }

  #run(run: Run): ScriptFailure | undefined {
    const state = this.#state;
    try {
      const status = luaD_pcall(state, runScript, run, state.top, 0);
      if (status !== thread_status.LUA_OK) return this.#errorOnStack("error");
    } catch (error) {
      return this.#fault(error, this.#budgets);
    }
    if (state.stack.length > keptStack) this.#renew();
    return undefined;
  }

  #parse(hook: HookName, bytes: Uint8Array): LuaScript | ScriptFailure {
    const state = this.#state;
    try {
      const status = lua_load(state, readOnce, { string: bytes }, chunkName, textOnly);
      if (status !== thread_status.LUA_OK) return this.#errorOnStack("syntax");
    } catch (error) {
      return this.#fault(error, parsingBudgets);
    }
    return new LuaScript(hook, (pop(state).value as LClosure).p!);
  }

  /** A Lua error, whose value is on top of the stack. */
  #errorOnStack(reason: "error" | "syntax"): ScriptFailure {
    const found = errorFailure(reason, pop(this.#state), meter.errorLine);
    this.#renew();
    return found;
  }

  /** What no Lua code catches: a budget is exhausted, or the VM has failed. Its thread is left as it was then. */
  #fault(error: unknown, budgets: Budgets): ScriptFailure {
    const line = luaG_line(this.#state);
    this.#renew();
    if (error === exhausted && exhausted.reason !== "")
      return budgetFailure(exhausted.reason, line, budgets, budgets === parsingBudgets ? "parsing it " : "");
    const overflow = error instanceof RangeError && /call stack/.test(error.message);
    const text = error instanceof Error ? error.message : String(error);
    return failure("error", line, overflow ? "stack overflow" : `internal error of the script engine: ${text}`);
  }

  /** After a failure nothing of the thread is used again: it may have stopped anywhere. */
  #renew(): void {
    this.#state = lua_renewthread(this.#state.l_G);
  }

  #usage(): Usage {
    const { steps, bytes } = this.#budgets;
    return { steps: Math.min(usedSteps(), steps), bytes: Math.min(meter.bytes, bytes) };
  }
}

/** Runs the chunk in its environment, and then the function that it defined there. */
function runScript(state: State, run: Run): void {
  const bottom = state.top;
  const chunk = new LClosure(state, 1);
  chunk.p = run.script.main;
  chunk.upvals[0] = table(run.environment);
  push(state, closure(chunk));
  luaD_call(state, bottom, 0);
  const defined = luaH_getstr(run.environment, run.script.functionName);
  if (run.message === undefined) {
    run.value = defined;
    return;
  }
  if (!isFunction(defined)) luaL_error(state, format, utf8Bytes(undefinedFunction(run.script.hook)));
  push(state, copyOf(defined));
  push(state, run.message);
  luaD_call(state, bottom, 1);
  run.value = pop(state);
}

const undefinedFunction = (hook: HookName): string => `the script defines no function ${hook}(msg)`;

function readOnce(_state: State, data: { string: Uint8Array | null }): Uint8Array | null {
  const { string } = data;
  data.string = null;
  return string;
}
