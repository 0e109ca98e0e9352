/** A session with an editor that only notes what it is asked for: one server at a time, and words where there is none. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Command, Probe } from "../src/interpreter";
import { Session, type Host, type Running } from "../src/session";
import type { Options, Settings } from "../src/settings";
import type { Trouble } from "../src/trouble";

const NOTHING: Settings = {
  interpreter: "",
  path: "",
  config: "",
  select: null,
  ignore: [],
  extendSelect: [],
  confidence: "",
};
const GOOD: Probe = { python: [3, 11], torchlint: true, server: true };

class Noted implements Host {
  platform = "linux";
  held: Settings = NOTHING;
  selected: string | undefined = "/env/bin/python";
  answer: Probe = GOOD;
  breaks: Error | undefined;
  launched: Array<[Command, Options]> = [];
  told: Trouble[] = [];
  alive = 0;
  most = 0;
  /** Called while a server is being started. */
  during: () => void = () => undefined;

  settings(): Settings {
    return this.held;
  }
  selectedInterpreter(): Promise<string | undefined> {
    return Promise.resolve(this.selected);
  }
  probe(): Promise<Probe> {
    return Promise.resolve(this.answer);
  }
  async launch(command: Command, options: Options): Promise<Running> {
    this.launched.push([command, options]);
    this.most = Math.max(this.most, ++this.alive);
    this.during();
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.breaks !== undefined) {
      this.alive--;
      throw this.breaks;
    }
    return {
      stop: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        this.alive--;
      },
    };
  }
  tell(trouble: Trouble): void {
    this.told.push(trouble);
  }
  log(): void {}
}

function programs(host: Noted): string[] {
  return host.launched.map(([command]) => [command.command, ...command.args].join(" "));
}

test("the selected interpreter starts the server; settings decide before it", async () => {
  const host = new Noted();
  const session = new Session(host);
  await session.restart();
  host.held = { ...NOTHING, interpreter: "/other/python", ignore: ["TLN2"] };
  await session.restart();
  host.held = { ...NOTHING, interpreter: "/other/python", path: "/bin/torchlint" };
  host.answer = { missing: "not asked" };
  await session.restart();
  assert.deepEqual(programs(host), [
    "/env/bin/python -P -m torchlint server",
    "/other/python -P -m torchlint server",
    "/bin/torchlint server",
  ]);
  assert.deepEqual(host.launched[1]?.[1], { ignore: ["TLN2"] });
  assert.deepEqual(host.told, []);
  assert.deepEqual([host.alive, host.most], [1, 1]);
  await session.end();
  assert.equal(host.alive, 0);
});

test("without the Python extension it is the Python that a shell finds", async () => {
  const host = new Noted();
  host.selected = undefined;
  await new Session(host).restart();
  host.platform = "win32";
  await new Session(host).restart();
  assert.deepEqual(programs(host), ["python3 -P -m torchlint server", "python -P -m torchlint server"]);
});

for (const [what, answer, from, says, remedies] of [
  ["torchlint is missing", { python: [3, 12], torchlint: false, server: false }, "", "/env/bin/python -m pip install 'torchlint[server]'", ["Install", "Select Interpreter"]],
  ["its server's extra is missing", { python: [3, 11], torchlint: true, server: false }, "", "needs pygls", ["Install", "Select Interpreter"]],
  ["the Python is too old", { python: [3, 10], torchlint: true, server: true }, "", "needs Python 3.11 or later", ["Open Settings", "Select Interpreter"]],
  ["the Python is gone", { missing: "spawn /env/bin/python ENOENT" }, "", "ENOENT", ["Select Interpreter", "Show Output"]],
  ["the Python of the settings is gone", { missing: "ENOENT" }, "/gone", "/gone (from torchlint.interpreter)", ["Open Settings", "Show Output"]],
] as Array<[string, Probe, string, string, string[]]>) {
  test(`where ${what}, it says so and what to do`, async () => {
    const host = new Noted();
    host.answer = answer;
    host.held = { ...NOTHING, interpreter: from };
    const session = new Session(host);
    await session.restart();
    assert.deepEqual(host.launched, []);
    assert.equal(host.told.length, 1);
    assert.ok(host.told[0]?.message.includes(says), host.told[0]?.message);
    assert.deepEqual(host.told[0]?.remedies, remedies);
    host.answer = GOOD; // installed meanwhile
    await session.restart();
    assert.equal(host.alive, 1);
  });
}

test("a server that does not start is told of, and the next start may go through", async () => {
  const host = new Noted();
  host.breaks = new Error("ended with exit code 2");
  const session = new Session(host);
  await session.restart();
  assert.ok(host.told[0]?.message.includes("exit code 2"));
  host.breaks = undefined;
  await session.restart();
  assert.equal(host.alive, 1);
});

test("changes while a server is being started are taken together, after it", async () => {
  const host = new Noted();
  const session = new Session(host);
  host.during = () => {
    host.during = () => undefined;
    for (const name of ["a", "b", "c"]) {
      host.held = { ...NOTHING, interpreter: `/${name}` };
      void session.restart();
    }
  };
  await session.restart();
  assert.deepEqual(programs(host), ["/env/bin/python -P -m torchlint server", "/c -P -m torchlint server"]);
  assert.deepEqual([host.alive, host.most], [1, 1]);
});

test("after the end nothing is started any more", async () => {
  const host = new Noted();
  const session = new Session(host);
  const first = session.restart();
  await session.end();
  await first;
  await session.restart();
  assert.deepEqual([host.alive, host.launched.length], [0, 1]);
});
