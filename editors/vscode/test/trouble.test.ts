/** The command that is offered can be pasted into a shell. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { installation } from "../src/trouble";

test("a POSIX shell reads the command as it is meant", { skip: process.platform === "win32" }, () => {
  for (const path of ["/usr/bin/python3", "/home/a b/it's/python"]) {
    const words = execFileSync("sh", ["-c", `for word in ${installation(path, "linux")}; do echo "$word"; done`]);
    assert.deepEqual(words.toString().trim().split("\n"), [path, "-m", "pip", "install", "torchlint[server]"]);
  }
});

test("PowerShell needs an ampersand before a quoted program", () => {
  assert.equal(installation("C:\\py\\python.exe", "win32"), 'C:\\py\\python.exe -m pip install "torchlint[server]"');
  assert.equal(installation("C:\\a b\\python.exe", "win32"), '& "C:\\a b\\python.exe" -m pip install "torchlint[server]"');
});
