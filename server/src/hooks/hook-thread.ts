// The program of the thread of the hooks.
import { lua } from "./lua.ts";
import { serveThread } from "./serve-thread.ts";

serveThread(lua);
