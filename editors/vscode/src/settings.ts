/** What the user set, read from wherever settings lie, and what of it the server is told. */

/** The extension's settings, without the `torchlint.` before their names. */
export interface Settings {
  readonly interpreter: string;
  readonly path: string;
  readonly config: string;
  readonly select: readonly string[] | null;
  readonly ignore: readonly string[];
  readonly extendSelect: readonly string[];
  readonly confidence: string;
}

/** The server's `initializationOptions`: only what was set, since that decides before the project's own settings. */
export type Options = Readonly<Record<string, string | readonly string[]>>;

/** Read the settings; `get` gives one by its name. The first folder stands for `${workspaceFolder}`. */
export function read(get: (name: string) => unknown, folder: string | undefined, home: string): Settings {
  const text = (name: string): string => {
    const value = get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const list = (name: string): readonly string[] | null => {
    const value = get(name);
    return Array.isArray(value) ? value.filter((each) => typeof each === "string") : null;
  };
  const file = (name: string): string => {
    const path = text(name).replace(/^~(?=$|[\\/])/, () => home);
    return folder === undefined ? path : path.replaceAll("${workspaceFolder}", () => folder);
  };
  return {
    interpreter: file("interpreter"),
    path: file("path"),
    config: file("config"),
    select: list("select"),
    ignore: list("ignore") ?? [],
    extendSelect: list("extendSelect") ?? [],
    confidence: text("confidence"),
  };
}

/** What the server is told of the settings. */
export function options(settings: Settings): Options {
  const told: Record<string, string | readonly string[]> = {};
  if (settings.config !== "") told["config"] = settings.config;
  if (settings.select !== null) told["select"] = settings.select;
  if (settings.ignore.length > 0) told["ignore"] = settings.ignore;
  if (settings.extendSelect.length > 0) told["extend-select"] = settings.extendSelect;
  if (settings.confidence !== "") told["confidence"] = settings.confidence;
  return told;
}
