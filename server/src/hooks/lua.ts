import { LuaEngine } from "./engine/lua-engine.ts";
import type { EngineFactory } from "./runner.ts";

/** Scripts are Lua. */
export const lua: EngineFactory = (world, budgets) => new LuaEngine(world, budgets);
