/** The one server that runs: started, and started anew when what it depends on changes. Knows nothing of VS Code. */

import { byInterpreter, byProgram, choose, type Command, type Probe } from "./interpreter";
import { options, type Options, type Settings } from "./settings";
import { failed, wrongWith, type Trouble } from "./trouble";

/** A server that was started. */
export interface Running {
  stop(): Promise<void>;
}

/** What the session needs of the editor and the machine. */
export interface Host {
  readonly platform: string;
  settings(): Settings;
  selectedInterpreter(): Promise<string | undefined>;
  probe(interpreter: string): Promise<Probe>;
  launch(command: Command, options: Options): Promise<Running>;
  tell(trouble: Trouble): void;
  log(line: string): void;
}

/** Starts and stops the server. Changes that come while one is being started are taken together, after it. */
export class Session {
  private running: Running | undefined;
  private wanted = 0;
  private done = 0;
  private working: Promise<void> | undefined;
  private ended = false;

  constructor(private readonly host: Host) {}

  /** Start the server with the settings that hold now; one that runs is stopped. */
  restart(): Promise<void> {
    this.wanted += 1;
    this.working ??= this.work().finally(() => (this.working = undefined));
    return this.working;
  }

  /** Stop the server for good. */
  async end(): Promise<void> {
    this.ended = true;
    await this.working;
    await this.stop();
  }

  private async work(): Promise<void> {
    while (this.done < this.wanted && !this.ended) {
      const now = this.wanted;
      await this.stop();
      await this.start();
      this.done = now;
    }
  }

  private async start(): Promise<void> {
    const settings = this.host.settings();
    const command = settings.path !== "" ? byProgram(settings.path) : await this.ofInterpreter(settings);
    if (command === undefined) return;
    this.host.log(`starting ${[command.command, ...command.args].join(" ")}`);
    try {
      this.running = await this.host.launch(command, options(settings));
    } catch (error) {
      this.host.tell(failed(command.command, error));
    }
  }

  private async ofInterpreter(settings: Settings): Promise<Command | undefined> {
    const selected = settings.interpreter === "" ? await this.host.selectedInterpreter() : undefined;
    const chosen = choose(settings, selected, this.host.platform);
    const found = await this.host.probe(chosen.path);
    this.host.log(`${chosen.path} (from ${chosen.from}): ${JSON.stringify(found)}`);
    const trouble = wrongWith(chosen, found, this.host.platform);
    if (trouble === undefined) return byInterpreter(chosen.path);
    this.host.tell(trouble);
    return undefined;
  }

  private async stop(): Promise<void> {
    const before = this.running;
    this.running = undefined;
    try {
      await before?.stop();
    } catch (error) {
      this.host.log(`stopping: ${String(error)}`);
    }
  }
}
