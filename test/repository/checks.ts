// The checks that need only a name and a text. Each returns complaints; each complaint names file and remedy.

/** Names that say nothing about what is inside. */
const emptyNames = new Set(["utils", "util", "common", "helpers", "helper", "types", "misc", "shared", "lib"]);

export function emptyName(file: string): string[] {
  return file
    .split("/")
    .map((part) => part.replace(/\..*$/, ""))
    .filter((part) => emptyNames.has(part.toLowerCase()))
    .map((part) => `${file}: the name "${part}" says nothing; name what is inside`);
}

function eachLine(file: string, content: string, pattern: RegExp, why: string): string[] {
  return content.split("\n").flatMap((line, at) => (pattern.test(line) ? [`${file}:${at + 1}: ${why}`] : []));
}

export function ownerlessTodo(file: string, content: string): string[] {
  // The words are spelled in two parts so that this file passes its own check.
  const word = new RegExp("\\b(TO" + "DO|FIX" + "ME|X" + "XX)\\b(?!\\(\\w)");
  return eachLine(file, content, word, "say who will do it: TO" + "DO(name): what");
}

export function oversize(file: string, content: string, excused: Readonly<Record<string, string>>): string[] {
  const lines = content.split("\n").length - 1;
  if (lines <= 500) {
    return file in excused ? [`${file}: is ${lines} lines long now; take it off the list of long files`] : [];
  }
  return file in excused
    ? []
    : [`${file}: ${lines} lines; split it, or give the reason in the list of long files of repository.test.ts`];
}

/** In tests: what would let a run pass without looking, or make it slow and flaky. */
export function weakTest(file: string, content: string): string[] {
  // What a platform lacks cannot be tested there; that alone is a reason to skip.
  const passes = /\b(test|it|describe|suite|t)\.(skip|only|todo)\b|[{,]\s*(skip|only|todo)\s*:(?! process\.platform)/;
  const sleeps = /\bsetTimeout\s*\((?:[^()]|\([^()]*\))*,\s*[\d_]{2,}\s*\)|timers\/promises|\bsleep\s*\(/;
  return [
    ...eachLine(file, content, passes, "a test that is skipped, alone or to do proves nothing; repair it or delete it"),
    ...eachLine(
      file,
      content,
      sleeps,
      "wait for a signal (an event, a line of output, a reply), never for time; a deadline is AbortSignal.timeout()",
    ),
  ];
}

export function decisionPage(file: string, content: string): string[] {
  return ["Context", "Decision", "Consequence"]
    .filter((heading) => !new RegExp(`^## ${heading}s?$`, "m").test(content))
    .map((heading) => `${file}: has no section "## ${heading}"; docs/decisions/README.md shows the form`);
}

export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** npm forgets the packages of other platforms when a lock is written from an incomplete registry answer or tree. */
export function incompleteLock(packages: Readonly<Record<string, LockedPackage>>): string[] {
  const complaints: string[] = [];
  for (const [where, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      // As Node looks for it: beside the package that wants it, then upwards.
      let folder = where;
      let found = `${folder === "" ? "" : `${folder}/`}node_modules/${name}` in packages;
      while (!found && folder !== "") {
        folder = folder.includes("/node_modules/") ? folder.slice(0, folder.lastIndexOf("/node_modules/")) : "";
        found = `${folder === "" ? "" : `${folder}/`}node_modules/${name}` in packages;
      }
      if (!found) {
        complaints.push(
          `package-lock.json: ${name}, wanted by ${where || "the root"} on some platform, is missing; ` +
            "pin a version whose platform packages all exist and write the lock again",
        );
      }
    }
    if (entry.resolved?.startsWith("http") === true) {
      complaints.push(
        `package-lock.json: ${where} holds a download address; .npmrc keeps them out, write the lock again`,
      );
    }
  }
  return complaints;
}
