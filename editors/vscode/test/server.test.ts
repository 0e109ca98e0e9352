/** The real server, started by the command that the extension makes. TORCHLINT_PYTHON names a Python that has torchlint. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import {
  createProtocolConnection,
  DidOpenTextDocumentNotification,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  PublishDiagnosticsNotification,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  type PublishDiagnosticsParams,
} from "vscode-languageserver-protocol/node";

import { byInterpreter, probe } from "../src/interpreter";
import { options, read } from "../src/settings";

const BAD = `import torch
from torch import nn


def loss_of(logits, labels):
    return nn.BCEWithLogitsLoss()(torch.sigmoid(logits), labels)
`;
const python = process.env["TORCHLINT_PYTHON"];
const skip = python === undefined ? "TORCHLINT_PYTHON names no Python that has torchlint" : false;

/** The codes that the server tells of a file, with these settings, in a folder that has a module of Python's name. */
async function codes(interpreter: string, set: Record<string, unknown>): Promise<unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), "torchlint-"));
  writeFileSync(join(folder, "json.py"), "raise SystemExit('the module of the workspace was imported')\n");
  writeFileSync(join(folder, "a.py"), BAD);
  const { command, args } = byInterpreter(interpreter);
  const server = spawn(command, [...args, "--stdio"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  try {
    const reader = new StreamMessageReader(server.stdout);
    const connection = createProtocolConnection(reader, new StreamMessageWriter(server.stdin));
    const told = new Promise<PublishDiagnosticsParams>((resolve) => {
      connection.onNotification(PublishDiagnosticsNotification.type, resolve);
    });
    connection.listen();
    await connection.sendRequest(InitializeRequest.type, {
      processId: process.pid,
      rootUri: pathToFileURL(folder).href,
      capabilities: {},
      initializationOptions: options(read((name) => set[name], folder, "")),
    });
    await connection.sendNotification(InitializedNotification.type, {});
    const textDocument = { uri: pathToFileURL(join(folder, "a.py")).href, languageId: "python", version: 1, text: BAD };
    await connection.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });
    const found = await told;
    await connection.sendRequest(ShutdownRequest.type);
    await connection.sendNotification(ExitNotification.type);
    const [code] = await once(server, "exit");
    assert.equal(code, 0);
    return found.diagnostics.map((each) => each.code);
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the server tells what it finds, and takes the settings", { skip, timeout: 120_000 }, async () => {
  assert.deepEqual(await codes(python ?? "", {}), ["TLN101"]);
  assert.deepEqual(await codes(python ?? "", { ignore: ["TLN101"] }), []);
});

test("a Python is asked what it has", { skip, timeout: 60_000 }, async () => {
  const found = await probe(python ?? "");
  assert.ok("python" in found && found.torchlint && found.server && found.python[0] === 3, JSON.stringify(found));
});

test("what is no Python says why", async () => {
  assert.match(JSON.stringify(await probe("/no/such/python")), /missing.*ENOENT/);
  assert.deepEqual(await probe("echo"), { missing: "it does not answer as Python does" });
});
