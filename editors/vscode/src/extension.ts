/** torchlint in VS Code: the editor's side of a session. */

import { homedir } from "node:os";

import { PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";
import { LanguageClient, RevealOutputChannelOn, TransportKind } from "vscode-languageclient/node";

import { probe, type Command } from "./interpreter";
import { Session, type Host, type Running } from "./session";
import { read, type Options, type Settings } from "./settings";
import { installation, type Remedy, type Trouble } from "./trouble";

/** Python in files, unsaved ones and cells of notebooks. */
const SELECTOR = ["file", "untitled", "vscode-notebook", "vscode-notebook-cell"].map((scheme) => ({
  scheme,
  language: "python",
}));

let session: Session | undefined;

/** Called by VS Code when the first Python file or notebook is opened. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("torchlint", { log: true });
  const started = new Session(new Editor(output));
  session = started;
  context.subscriptions.push(
    output,
    vscode.commands.registerCommand("torchlint.restart", () => started.restart()),
    vscode.commands.registerCommand("torchlint.showOutput", () => output.show()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      const ours = event.affectsConfiguration("torchlint") && !event.affectsConfiguration("torchlint.trace");
      if (ours) void started.restart();
    }),
  );
  const python = await pythonExtension(output);
  if (python !== undefined) {
    context.subscriptions.push(
      python.environments.onDidChangeActiveEnvironmentPath(() => {
        if (settings().interpreter === "" && settings().path === "") void started.restart();
      }),
    );
  }
  await started.restart();
}

/** Called by VS Code before it leaves. */
export async function deactivate(): Promise<void> {
  await session?.end();
}

function firstFolder(): vscode.WorkspaceFolder | undefined {
  return vscode.workspace.workspaceFolders?.[0];
}

function settings(): Settings {
  const folder = firstFolder();
  const held = vscode.workspace.getConfiguration("torchlint", folder?.uri);
  return read((name) => held.get(name), folder?.uri.fsPath, homedir());
}

/** The Python extension, which says what is selected; undefined where it is not installed. */
async function pythonExtension(output: vscode.LogOutputChannel): Promise<PythonExtension | undefined> {
  if (vscode.extensions.getExtension("ms-python.python") === undefined) return undefined;
  try {
    return await PythonExtension.api();
  } catch (error) {
    output.warn(`the Python extension does not answer: ${String(error)}`);
    return undefined;
  }
}

/** What a session needs, in VS Code. */
class Editor implements Host {
  readonly platform = process.platform;
  readonly settings = settings;
  readonly probe = probe;

  constructor(private readonly output: vscode.LogOutputChannel) {}

  async selectedInterpreter(): Promise<string | undefined> {
    const python = await pythonExtension(this.output);
    if (python === undefined) return undefined;
    const active = python.environments.getActiveEnvironmentPath(firstFolder()?.uri);
    const found = await python.environments.resolveEnvironment(active);
    return found?.executable.uri?.fsPath;
  }

  async launch(command: Command, options: Options): Promise<Running> {
    const cwd = firstFolder()?.uri.fsPath;
    const server = {
      command: command.command,
      args: [...command.args],
      transport: TransportKind.stdio,
      ...(cwd === undefined ? {} : { options: { cwd } }),
    };
    const client = new LanguageClient("torchlint", "torchlint", server, {
      documentSelector: SELECTOR,
      initializationOptions: options,
      outputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      // The session says what went wrong, once.
      initializationFailedHandler: () => false,
    });
    try {
      await client.start();
    } catch (error) {
      await client.dispose().catch(() => undefined);
      throw error;
    }
    return { stop: () => client.dispose() };
  }

  tell(trouble: Trouble): void {
    this.output.error(trouble.message);
    void vscode.window.showErrorMessage(trouble.message, ...trouble.remedies).then(async (chosen) => {
      if (chosen !== undefined) await this.remedy(chosen, trouble);
    });
  }

  log(line: string): void {
    this.output.info(line);
  }

  private async remedy(chosen: Remedy, trouble: Trouble): Promise<void> {
    switch (chosen) {
      case "Install": {
        // Typed, not run: the user may want it from elsewhere, and decides. `torchlint: Restart Server` comes after it.
        const terminal = vscode.window.createTerminal("torchlint");
        terminal.show();
        terminal.sendText(installation(trouble.interpreter ?? "python", this.platform), false);
        return;
      }
      case "Select Interpreter":
        if (vscode.extensions.getExtension("ms-python.python") !== undefined) {
          await vscode.commands.executeCommand("python.setInterpreter");
          return;
        }
        await vscode.commands.executeCommand("workbench.action.openSettings", "torchlint.interpreter");
        return;
      case "Open Settings":
        await vscode.commands.executeCommand("workbench.action.openSettings", "torchlint.");
        return;
      case "Show Output":
        this.output.show();
    }
  }
}
