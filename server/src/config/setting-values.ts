// What a single setting may hold.
import { ConfigError, isTable } from "./config-file.ts";
import { parseListenAddress } from "./listen-address.ts";
import { settings, type Setting, type SettingName, type SettingValue } from "./settings.ts";

const MAX_ORIGINS = 100;

/**
 * The value, or ConfigError. `where` names the place for the message; a function, because finding it takes a while.
 */
export function checkValue(name: SettingName, value: unknown, where: string | (() => string)): SettingValue {
  const setting: Setting = settings[name];
  const accepted = accept(setting, value);
  if (accepted !== undefined) return accepted;
  const place = typeof where === "string" ? where : where();
  throw new ConfigError(`${place} must be ${expectation(setting)}, but is ${show(value)}`);
}

/** An environment variable is text; give it the type that the setting has. What does not fit stays text. */
export function fromEnvironment(setting: Setting, text: string): unknown {
  if (setting.kind === "number") return /^\d{1,15}$/.test(text) ? Number(text) : text;
  if (setting.kind === "flag")
    return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : text;
  if (setting.kind === "origins")
    return text
      .split(",")
      .map((origin) => origin.trim())
      .filter((origin) => origin !== "");
  return text;
}

/** For people: what the setting takes. */
export function expectation(setting: Setting): string {
  switch (setting.kind) {
    case "text":
      return "a text that is not empty";
    case "address":
      return 'an address like "127.0.0.1:5555" or "[::1]:5555"';
    case "flag":
      return "true or false";
    case "number":
      return `a whole number from ${setting.min} to ${setting.max}`;
    case "url":
      return 'an address like "http://127.0.0.1:4318", or "" for none';
    case "origins":
      return 'a list of origins as browsers send them, like ["https://app.example.com"], or ["*"] for all';
    case "choice":
      return `one of ${setting.choices.map((choice) => JSON.stringify(choice)).join(", ")}`;
  }
}

function accept(setting: Setting, value: unknown): SettingValue | undefined {
  switch (setting.kind) {
    case "text":
      return typeof value === "string" && value !== "" && !value.includes("\0") ? value : undefined;
    case "address":
      return typeof value === "string" && parseListenAddress(value) !== undefined ? value : undefined;
    case "flag":
      return typeof value === "boolean" ? value : undefined;
    case "number":
      return Number.isSafeInteger(value) && Number(value) >= setting.min && Number(value) <= setting.max
        ? Number(value)
        : undefined;
    case "url":
      return typeof value === "string" && (value === "" || isHttpUrl(value)) ? value : undefined;
    case "origins":
      return Array.isArray(value) && value.length <= MAX_ORIGINS && value.every(isOrigin)
        ? Object.freeze([...value])
        : undefined;
    case "choice":
      return typeof value === "string" && setting.choices.includes(value) ? value : undefined;
  }
}

/** Exactly as a browser writes it: a slash at the end, or a star for a part of it, would match nothing, without a word. */
function isOrigin(value: unknown): value is string {
  if (typeof value !== "string" || value === "*") return value === "*";
  return isHttpUrl(value) && URL.parse(value)?.origin === value && !value.includes("*");
}

function isHttpUrl(value: string): boolean {
  const protocol = URL.parse(value)?.protocol;
  return protocol === "http:" || protocol === "https:";
}

function show(value: unknown): string {
  if (Array.isArray(value))
    return value.every((each) => typeof each === "string") ? cut(JSON.stringify(value)) : "a list";
  if (isTable(value)) return "a table";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return cut(text);
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
