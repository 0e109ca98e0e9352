/** What keeps the server from running, in words that say what to do about it. */

import { OLDEST, type Interpreter, type Probe } from "./interpreter";

/** What a button below a message does. */
export type Remedy = "Install" | "Select Interpreter" | "Open Settings" | "Show Output";

/** A message, the buttons below it, and the Python that it is about. */
export interface Trouble {
  readonly message: string;
  readonly remedies: readonly Remedy[];
  readonly interpreter?: string;
}

/** The command that installs the server for a Python, as a shell takes it. */
export function installation(interpreter: string, platform: string): string {
  const plain = /^[\w./\\:+-]+$/.test(interpreter);
  if (platform === "win32") return `${plain ? "" : "& "}${plain ? interpreter : `"${interpreter}"`} -m pip install "torchlint[server]"`;
  return `${plain ? interpreter : `'${interpreter.replaceAll("'", `'\\''`)}'`} -m pip install 'torchlint[server]'`;
}

/** What is wrong with a Python; undefined if the server can be started by it. */
export function wrongWith(chosen: Interpreter, found: Probe, platform: string): Trouble | undefined {
  const choose: Remedy = chosen.from === "torchlint.interpreter" ? "Open Settings" : "Select Interpreter";
  const whose = `${chosen.path} (from ${chosen.from})`;
  if ("missing" in found) {
    return {
      message: `torchlint cannot run ${whose}: ${found.missing}. Choose a Python that has torchlint.`,
      remedies: [choose, "Show Output"],
    };
  }
  const [major, minor] = found.python;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    return {
      message:
        `torchlint needs Python ${OLDEST.join(".")} or later, and ${whose} is ${major}.${minor}. ` +
        "Choose another one in torchlint.interpreter, or a torchlint of its own in torchlint.path; the code that is linted need not run with it.",
      remedies: ["Open Settings", choose].filter((each, index, all) => all.indexOf(each) === index) as Remedy[],
    };
  }
  if (!found.torchlint || !found.server) {
    const what = found.torchlint ? "The language server of torchlint needs pygls, which is" : "torchlint is";
    return {
      message: `${what} not installed in ${whose}. Install it there: ${installation(chosen.path, platform)}`,
      remedies: ["Install", choose],
      interpreter: chosen.path,
    };
  }
  return undefined;
}

/** What is said when the server does not start, or ends while it does. */
export function failed(what: string, error: unknown): Trouble {
  const reason = error instanceof Error ? error.message : String(error);
  return { message: `${what} did not start as torchlint's server: ${reason}`, remedies: ["Show Output", "Open Settings"] };
}
