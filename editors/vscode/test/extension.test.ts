/** The extension in a VS Code that only notes what it is asked for: what the manifest promises is what the code does. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Module from "node:module";
import { join } from "node:path";
import { before, test } from "node:test";

interface Manifest {
  contributes: {
    commands: Array<{ command: string }>;
    configuration: { properties: Record<string, { default: unknown }> };
  };
}

const manifest = JSON.parse(readFileSync(join(__dirname, "..", "..", "package.json"), "utf8")) as Manifest;
const properties = manifest.contributes.configuration.properties;

const commands = new Map<string, () => unknown>();
const asked = new Set<string>();
const shown: string[] = [];
const clients: Array<{ server: Record<string, unknown>; options: Record<string, unknown>; alive: boolean }> = [];
const set: Record<string, unknown> = {};
let changed: (event: { affectsConfiguration(section: string): boolean }) => void = () => undefined;

const nothing = { dispose: () => undefined };
const vscode = {
  window: {
    createOutputChannel: () => ({ ...nothing, info: () => undefined, warn: () => undefined, error: () => undefined, show: () => undefined }),
    showErrorMessage: (message: string) => Promise.resolve(void shown.push(message)),
  },
  commands: {
    registerCommand: (name: string, run: () => unknown) => (commands.set(name, run), nothing),
  },
  extensions: { getExtension: () => undefined },
  workspace: {
    workspaceFolders: [{ uri: { fsPath: "/work space" } }],
    getConfiguration: (section: string) => ({
      get: (name: string) => {
        asked.add(`${section}.${name}`);
        return set[name] ?? properties[`${section}.${name}`]?.default;
      },
    }),
    onDidChangeConfiguration: (listener: typeof changed) => ((changed = listener), nothing),
  },
};

class LanguageClient {
  private readonly noted: (typeof clients)[number];
  constructor(_id: string, _name: string, server: Record<string, unknown>, options: Record<string, unknown>) {
    this.noted = { server, options, alive: false };
    clients.push(this.noted);
  }
  start(): Promise<void> {
    this.noted.alive = true;
    return Promise.resolve();
  }
  dispose(): Promise<void> {
    this.noted.alive = false;
    return Promise.resolve();
  }
}

type Extension = typeof import("../src/extension");
let extension: Extension;

before(() => {
  const loader = Module as unknown as { _load(name: string, ...rest: unknown[]): unknown };
  const load = loader._load;
  loader._load = function (name, ...rest) {
    if (name === "vscode") return vscode;
    if (name === "vscode-languageclient/node") {
      return { LanguageClient, TransportKind: { stdio: 0 }, RevealOutputChannelOn: { Never: 4 } };
    }
    return load.call(this, name, ...rest);
  };
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  extension = require("../src/extension") as Extension;
});

test("it does what the manifest promises", async () => {
  set["path"] = "${workspaceFolder}/bin/torchlint";
  const context = { subscriptions: [] as unknown[] };
  await extension.activate(context as unknown as Parameters<Extension["activate"]>[0]);

  assert.deepEqual([...commands.keys()].sort(), manifest.contributes.commands.map((each) => each.command).sort());
  // vscode-languageclient itself reads the one about traces.
  const promised = Object.keys(properties).filter((name) => name !== "torchlint.trace.server");
  assert.deepEqual([...asked].sort(), promised.sort());
  assert.deepEqual(clients[0]?.server, {
    command: "/work space/bin/torchlint",
    args: ["server"],
    transport: 0,
    options: { cwd: "/work space" },
  });
  assert.deepEqual(clients[0]?.options["initializationOptions"], {});
});

test("a change of our settings, and the command, start the server anew", async () => {
  set["ignore"] = ["TLN2"];
  const until = async (count: number): Promise<void> => {
    while (clients.length < count || clients.at(-1)?.alive !== true) await new Promise((done) => setTimeout(done, 1));
    assert.deepEqual(clients.filter((each) => each.alive).length, 1);
  };
  changed({ affectsConfiguration: (section) => section === "editor" });
  changed({ affectsConfiguration: (section) => section.startsWith("torchlint") }); // its traces: the client sees to them
  changed({ affectsConfiguration: (section) => section === "torchlint" });
  await until(2);
  assert.deepEqual(clients[1]?.options["initializationOptions"], { ignore: ["TLN2"] });
  await commands.get("torchlint.restart")?.();
  await until(3);
  assert.equal(clients.length, 3);
});

test("what is wrong is shown, and leaving stops the server", async () => {
  set["path"] = "";
  set["interpreter"] = "/no/such/python";
  await commands.get("torchlint.restart")?.();
  assert.match(shown.join("\n"), /^torchlint cannot run \/no\/such\/python/);
  set["path"] = "/bin/torchlint";
  await commands.get("torchlint.restart")?.();
  assert.equal(clients.at(-1)?.alive, true);
  await extension.deactivate();
  assert.ok(clients.every((each) => !each.alive));
});
