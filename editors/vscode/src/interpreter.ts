/** Which Python runs the server, and whether torchlint can be run by it. */

import { execFile } from "node:child_process";

import type { Settings } from "./settings";

/** The oldest Python that torchlint runs with. */
export const OLDEST: readonly [number, number] = [3, 11];

/** A Python, and who chose it. */
export interface Interpreter {
  readonly path: string;
  readonly from: "torchlint.interpreter" | "the Python extension" | "the PATH";
}

/** What a Python has. `missing`: it could not be run at all, for this reason. */
export type Probe =
  | { readonly python: readonly [number, number]; readonly torchlint: boolean; readonly server: boolean }
  | { readonly missing: string };

/** A program and its arguments. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

/** The Python to ask: the one that is set, the one that is selected, or the one that a shell would find. */
export function choose(settings: Settings, selected: string | undefined, platform: string): Interpreter {
  if (settings.interpreter !== "") return { path: settings.interpreter, from: "torchlint.interpreter" };
  if (selected !== undefined) return { path: selected, from: "the Python extension" };
  return { path: platform === "win32" ? "python" : "python3", from: "the PATH" };
}

/** How an interpreter starts the server. `-P`: a folder of the workspace may be called as a module is. */
export function byInterpreter(path: string): Command {
  return { command: path, args: ["-P", "-m", "torchlint", "server"] };
}

/** How a program of torchlint's own starts the server. */
export function byProgram(path: string): Command {
  return { command: path, args: ["server"] };
}

// For any Python 3, so that an old one can be told by its version. It looks for modules without importing them.
const QUESTION = `
import sys
sys.path = [path for path in sys.path if path]
import json
from importlib.util import find_spec
def has(name):
    return find_spec(name) is not None
print(json.dumps({"python": list(sys.version_info[:2]), "torchlint": has("torchlint"), "server": has("pygls")}))
`;

/** Ask a Python what it has. */
export function probe(path: string): Promise<Probe> {
  return new Promise((resolve) => {
    execFile(path, ["-c", QUESTION], { timeout: 20_000, windowsHide: true }, (error, out, err) => {
      if (error !== null) {
        const said = err.trim().split("\n").at(-1);
        resolve({ missing: said !== undefined && said !== "" ? said : error.message.split("\n")[0] ?? "it failed" });
        return;
      }
      try {
        resolve(JSON.parse(out.trim().split("\n").at(-1) ?? "") as Probe);
      } catch {
        resolve({ missing: "it does not answer as Python does" });
      }
    });
  });
}
