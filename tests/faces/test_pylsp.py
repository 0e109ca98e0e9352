"""The plugin of python-lsp-server, in the real server's workspace and through its plugin manager."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from pylsp.config.config import Config
from pylsp.workspace import Workspace

from tests.faces.conftest import BAD, ROOT, Tree
from tests.faces.test_server import MODEL, TRAIN


class Endpoint:
    """Takes what the server would tell its client."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def notify(self, method: str, params: Any) -> None:
        self.told.append(params)


def workspace_of(folder: Path) -> tuple[Workspace, Config, Endpoint]:
    endpoint = Endpoint()
    config = Config(folder.as_uri(), {}, 0, {})
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pylsp"]
    ours = EntryPoint("torchlint", named["torchlint"], "pylsp").load()
    if not config.plugin_manager.is_registered(ours):  # torchlint need not be installed to be tested
        config.plugin_manager.register(ours, "torchlint")
    return Workspace(folder.as_uri(), endpoint, config), config, endpoint


def put(workspace: Workspace, path: Path, text: str) -> Any:
    uri = path.as_uri()
    workspace.put_document(uri, text, 1)
    return workspace.documents[uri]


def lint(config: Config, workspace: Workspace, document: Any, *, is_saved: bool = False) -> list[dict[str, Any]]:
    (hook,) = [
        each for each in config.plugin_manager.hook.pylsp_lint.get_hookimpls() if each.plugin_name == "torchlint"
    ]
    found = hook.function(config=config, workspace=workspace, document=document, is_saved=is_saved)
    assert isinstance(found, list)
    return found


def test_open_texts_are_linted_together_and_findings_move(tree: Tree) -> None:
    folder = tree({"model.py": MODEL, "train.py": TRAIN})
    workspace, config, _ = workspace_of(folder)
    train = put(workspace, folder / "train.py", TRAIN)
    (found,) = lint(config, workspace, train)
    assert (found["code"], found["source"], found["range"]["start"]) == (
        "TLN101",
        "torchlint",
        {"line": 8, "character": 8},
    )
    broken = put(workspace, folder / "train.py", f"def broken(:\n{TRAIN}")
    (found,) = lint(config, workspace, broken)
    assert found["range"]["start"] == {"line": 9, "character": 8}
    train = put(workspace, folder / "train.py", TRAIN)
    put(workspace, folder / "model.py", MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)"))
    assert lint(config, workspace, train) == []


def test_a_file_that_is_opened_or_saved_is_seen_with_the_whole_project(tree: Tree) -> None:
    # No word in helper.py is that of a loss: nothing begins there, but the loss is called there.
    helper = "def apply(call, scores, y):\n    return call(scores, y)\n"
    main = (
        "import torch\nfrom helper import apply\nfrom torch import nn\n\n\n"
        "def main(x, y):\n    apply(nn.BCEWithLogitsLoss(), torch.sigmoid(x), y).backward()\n"
    )
    folder = tree({"helper.py": helper, "main.py": main})
    workspace, config, _ = workspace_of(folder)
    document = put(workspace, folder / "helper.py", helper)
    assert [each["code"] for each in lint(config, workspace, document, is_saved=True)] == ["TLN101"]


def test_wrong_settings_are_told(tree: Tree) -> None:
    folder = tree({"a.py": BAD, "torchlint.toml": "ignor = []\n"})
    workspace, config, endpoint = workspace_of(folder)
    assert lint(config, workspace, put(workspace, folder / "a.py", BAD)) == []
    assert "ignor" in str(endpoint.told)
