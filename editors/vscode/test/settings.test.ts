/** Settings are read as they were set, and the server is told of those that were. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { options, read } from "../src/settings";

function held(values: Record<string, unknown>): (name: string) => unknown {
  return (name) => values[name];
}

test("what was not set is not told, so that the project's settings hold", () => {
  const nothing = { interpreter: "", path: "", config: "", select: null, ignore: [], extendSelect: [], confidence: "" };
  assert.deepEqual(options(read(held(nothing), undefined, "/home/a")), {});
});

test("what was set is told under the server's names; an empty selection is one", () => {
  const set = { config: "${workspaceFolder}/lint.toml", select: [], ignore: ["TLN2"], extendSelect: ["ALL"], confidence: "likely" };
  assert.deepEqual(options(read(held(set), "/w $& x", "/home/a")), {
    config: "/w $& x/lint.toml",
    select: [],
    ignore: ["TLN2"],
    "extend-select": ["ALL"],
    confidence: "likely",
  });
});

test("paths may begin at home or at the workspace; what is no text counts for nothing", () => {
  const set = { interpreter: "~/env/bin/python", path: "~other", config: 5, select: "TLN1", ignore: [1, "TLN2"] };
  const settings = read(held(set), "/w", "/home/a");
  assert.deepEqual(
    [settings.interpreter, settings.path, settings.config, settings.select, settings.ignore],
    ["/home/a/env/bin/python", "~other", "", null, ["TLN2"]],
  );
});
